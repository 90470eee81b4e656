#!/bin/sh
# Write requirements/*.txt: names, versions and hashes of the public registry, without any address or local path.
# Run by `make lock`. Settings of the machine (mirrors, find-links, constraints) are kept out, since they would
# change which files are hashed. With KEEP set, what is locked stays as it is: a new dependency is added, nothing else moves.
set -eu
uv="${UV:-.venv-uv/bin/uv}"
mkdir -p requirements

compile() { # compile OUTPUT TITLE ARGUMENT...
    output="$1" title="$2"
    shift 2
    if [ -n "${KEEP:-}" ]; then set -- --constraint "$output" "$@"; else set -- --upgrade "$@"; fi
    body="$(env -u UV_INDEX -u UV_INDEX_URL -u UV_DEFAULT_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_CONSTRAINT \
        "$uv" pip compile --quiet --no-config --system-certs --universal --python-version 3.11 \
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
compile requirements/runtime.txt "What swarmkeeper needs to run." --constraint requirements/dev.txt pyproject.toml
compile requirements/uv.txt "What installs the rest." --group pyproject.toml:uv
compile requirements/generator.txt "What makes a client from the OpenAPI document, for a test." --group pyproject.toml:generator
