#!/bin/sh
# Install Debian's Chromium for the tests of the dashboard, if there is no browser and this machine has its package manager.
# Elsewhere those tests fail, and say what is missing.
set -eu

for name in ${SWARMKEEPER_TEST_BROWSER:-} chromium chromium-browser google-chrome-stable google-chrome; do
    if command -v "$name" >/dev/null; then exit; fi
done
if ! command -v apt-get >/dev/null; then exit; fi
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    exit
fi
export DEBIAN_FRONTEND=noninteractive
{ $as_root apt-get update -qq && $as_root apt-get install -qq --no-install-recommends chromium fonts-liberation; } >/dev/null 2>&1 ||
    echo "browser: apt-get could not install chromium; tests of the dashboard will fail" >&2
