#!/bin/sh
# Makes sure that the tests find a Chromium; says nothing when they do.
set -eu
cd "$(dirname "$0")/.."

good() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null; }

good && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "chromium: installing Chromium with apt-get"
    mkdir -p build
    log=build/chromium.log
    apt-get update >"$log" 2>&1 </dev/null || tail -n 5 "$log" >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium \
        >>"$log" 2>&1 </dev/null || tail -n 20 "$log" >&2
    good && exit 0
fi

echo "chromium: tests/provider/ui/test_browser.py looks at pages in Chromium, and will fail: PATH has none. Install it:
  Debian:  apt-get install chromium
  Fedora:  dnf install chromium
  macOS:   brew install --cask chromium" >&2
