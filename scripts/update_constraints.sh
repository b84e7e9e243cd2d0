#!/bin/sh
# Rewrites constraints.txt: the newest versions that satisfy pyproject.toml and
# that can be installed, the same ones, on Linux with every Python we support.
set -eu
cd "$(dirname "$0")/.."

# pyspark and pyspark-client share files, but are not always released together:
# both must have this version.
spark=4.2.0
# With pandas 3, PySpark 4.2 warns that it does not fully support it.
limits="pyspark==$spark pyspark-client==$spark pandas<3"
pythons="3.11 3.12 3.13"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1

echo "Installing the resolver in a throwaway environment"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet uv

# pip and what builds packages is installed too: setuptools for PySpark, which
# comes as source only, and editables for hatchling's editable installations.
"$work/venv/bin/python" - >"$work/build.in" <<'EOF'
import tomllib
with open("pyproject.toml", "rb") as file:
    requires = tomllib.load(file)["build-system"]["requires"]
print("pip", "setuptools", "editables", *requires, sep="\n")
EOF

echo "$limits" | tr ' ' '\n' >"$work/limits"
: >"$work/pins"
for version in $pythons; do
    echo "Resolving for Python $version"
    # Only PySpark may come as source, so that nobody needs a compiler. A newer
    # Python gets the pins of the older ones, and may add packages to them.
    "$work/venv/bin/uv" pip compile --quiet --no-header --no-annotate --no-emit-index-url \
        --python-version "$version" --python-platform linux \
        --only-binary :all: --no-binary pyspark --no-binary pyspark-client \
        --constraints "$work/limits" --constraints "$work/pins" --extra airflow --extra spark --extra pyreqwest --extra uvloop --extra compression \
        --extra oauth2 --extra aws --extra opentelemetry \
        --group dev \
        pyproject.toml "$work/build.in" >"$work/resolved"
    cat "$work/pins" >>"$work/resolved"
    LC_ALL=C sort -u "$work/resolved" >"$work/pins"
done

{
    echo "# Made by scripts/update_constraints.sh from pyproject.toml; change it by running that script."
    cat "$work/pins"
} >"$work/constraints.txt"
cp "$work/constraints.txt" constraints.txt
echo "Wrote constraints.txt: $(wc -l <"$work/pins") packages"
