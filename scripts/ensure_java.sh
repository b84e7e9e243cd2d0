#!/bin/sh
# Makes sure that Spark finds Java 17 or newer; says nothing when it does.
set -eu
cd "$(dirname "$0")/.."

# Prints the major version of a java program: 17 for "17.0.15", 8 for "1.8.0_372",
# 21 for "21-ea"; nothing when the program does not run.
major() {
    "$1" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9][0-9]*\).*/\2/p' | head -n 1
}

good() {
    found=$(major "$1")
    [ -n "$found" ] && [ "$found" -ge 17 ]
}

# Spark takes JAVA_HOME before PATH, so a wrong JAVA_HOME cannot be mended from here.
if [ -n "${JAVA_HOME:-}" ]; then
    good "$JAVA_HOME/bin/java" && exit 0
    echo "java: JAVA_HOME is $JAVA_HOME, which holds no Java 17 or newer." \
        "Point it to one, or unset it." >&2
    exit 1
fi

good java && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "java: installing Java with apt-get"
    mkdir -p build
    log=build/java.log
    apt-get update >"$log" 2>&1 </dev/null || tail -n 5 "$log" >&2
    for package in openjdk-17-jre-headless openjdk-21-jre-headless default-jre-headless; do
        # No candidate means that this Debian has no such version.
        apt-cache policy "$package" | grep -q 'Candidate: [^(]' || continue
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$package" \
            >>"$log" 2>&1 </dev/null || tail -n 20 "$log" >&2
        break
    done
    good java && exit 0
fi

echo "java: Spark needs Java 17 or newer, and PATH has none. Install it:
  Debian or Ubuntu: apt-get install openjdk-17-jre-headless (or openjdk-21-jre-headless)
  Fedora:           dnf install java-21-openjdk-headless
  macOS:            brew install openjdk@17, then set JAVA_HOME to \$(brew --prefix openjdk@17)" >&2
exit 1
