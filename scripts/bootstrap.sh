#!/bin/sh
# Makes .venv with everything the project needs, at the versions that
# constraints.txt pins. Returns at once when there is nothing to do.
# $PYTHON names the interpreter to use (default: python3).
set -eu
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
log=build/bootstrap.log
stamp=.venv/.bootstrapped
# The folder comes first: an environment does not survive a move.
wanted="$PWD $(cat pyproject.toml constraints.txt | cksum)"

say() { echo "bootstrap: $*"; }
fail() { say "$*" >&2; exit 1; }

# Runs a command that prints to the log only, and shows the log's end if it fails.
logged() {
    echo "+ $*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null && return
    tail -n 30 "$log" >&2
    fail "this failed: $* (everything it printed is in $log)"
}

pinned() { grep "^$1==" constraints.txt || fail "constraints.txt does not pin $1"; }

check_python() {
    if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
        found=$("$python" --version 2>&1) || found="no such program"
        fail "Python 3.11, 3.12 or 3.13 is needed, but $python is: $found." \
            "Install one of them and name it, for example: PYTHON=python3.12 make setup"
    fi
}

# Debian splits the part of Python that makes environments into a package.
check_venv_module() {
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        say "installing python3-venv"
        apt-get update >>"$log" 2>&1 </dev/null || true # the lists at hand may do
        logged env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail \
        "$python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv" \
        "(for a Python that is not the system's own, its own package, such as python3.12-venv)"
}

if [ -f "$stamp" ]; then
    read -r made <"$stamp" || true
    if ! .venv/bin/python -c 'import hatchling' 2>/dev/null || [ "${made% * *}" != "$PWD" ]; then
        say "the checkout or its Python has moved: making .venv anew"
        rm -rf .venv
    elif [ "$made" = "$wanted" ]; then
        exit 0
    fi
elif [ -e .venv ]; then
    say "an earlier installation was interrupted: making .venv anew"
    rm -rf .venv
fi

mkdir -p build
: >"$log"

# An old uv does not know dependency groups; pip then does the work.
if command -v uv >/dev/null && uv pip install --help 2>/dev/null | grep -q -e '--group'; then
    installer=uv
else
    installer=pip
fi

if [ -d .venv ]; then
    rm "$stamp" # until the new versions are in place
else
    check_python
    say "making .venv with $("$python" --version), using $installer"
    if [ "$installer" = uv ]; then
        logged uv venv --python "$(command -v "$python")" .venv
    else
        check_venv_module
        logged "$python" -m venv .venv
        # The pip that comes with Python may be too old to know dependency groups.
        logged .venv/bin/python -m pip install --disable-pip-version-check "$(pinned pip)"
    fi
fi

install() {
    if [ "$installer" = uv ]; then
        logged uv pip install --python .venv/bin/python --constraints constraints.txt --no-build-isolation "$@"
    else
        logged .venv/bin/python -m pip install --constraint constraints.txt --no-build-isolation "$@"
    fi
}

say "installing the pinned packages (PySpark alone is 450 MB: the first time takes minutes)"
# First what builds the rest: hatchling and editables us, setuptools PySpark.
install "$(pinned pip)" "$(pinned hatchling)" "$(pinned editables)" "$(pinned setuptools)"
install --editable '.[airflow,spark,pyreqwest,uvloop,compression,oauth2,aws,opentelemetry]' --group dev

# Written under another name first, so that no half a stamp is ever seen.
echo "$wanted" >"$stamp.new"
mv "$stamp.new" "$stamp"
say "done"
