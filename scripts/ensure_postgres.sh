#!/bin/sh
# Installs PostgreSQL and its JDBC driver for the tests that need them, where it may: as root on
# Debian or Ubuntu. Elsewhere it says what to install, and those tests are skipped.
set -eu
cd "$(dirname "$0")/.."

# Where tests/support/postgres.py looks, too.
server() { PATH=$(echo /usr/lib/postgresql/*/bin | tr ' ' ':'):$PATH command -v initdb >/dev/null; }
driver() { [ -e /usr/share/java/postgresql.jar ]; }

server && driver && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "postgres: installing PostgreSQL and its JDBC driver with apt-get"
    mkdir -p build
    log=build/postgres.log
    apt-get update >"$log" 2>&1 </dev/null || tail -n 5 "$log" >&2
    # In run level 1 no server is started: the tests start one of their own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        postgresql libpostgresql-jdbc-java >>"$log" 2>&1 </dev/null || tail -n 20 "$log" >&2
    server && driver && exit 0
    echo "postgres: could not install it; everything that apt-get printed is in $log" >&2
    exit 1
fi

echo "postgres: not found, so the tests of JDBC are skipped. Install it:
  Debian or Ubuntu: apt-get install postgresql libpostgresql-jdbc-java"
