#!/bin/sh
# Test the bots around agents of frameworks that are not among the locked requirements, each in an environment of its
# own with the framework's newest release. Run by `make frameworks` and each night.
#   sh scripts/test_frameworks.sh [NAME...]     by default all
set -eu
uv="${UV:-.venv-uv/bin/uv}"
python="${PYTHON:-python3}"
folder=".venv-frameworks"
export CREWAI_DISABLE_TELEMETRY=true OTEL_SDK_DISABLED=true  # nothing is sent from here
[ $# -gt 0 ] || set -- agent_framework crewai google_adk strands

packages() { # packages NAME: what is installed
    case "$1" in
        agent_framework) echo agent-framework-core agent-framework-openai ;;
        crewai) echo crewai ;;
        google_adk) echo google-adk ;;
        strands) echo strands-agents ;;
        *) echo "test_frameworks: there is no framework '$1'; there are agent_framework crewai google_adk strands" >&2; exit 2 ;;
    esac
}

tests() { # tests NAME: the file
    echo "tests/agents/apart/test_$1.py"
}

environment() { # environment NAME PACKAGE...
    name="$1"
    shift
    "$uv" venv --quiet --clear --no-config --python "$python" "$folder/$name"
    : >"$folder/overrides.txt"
    # CrewAI does not allow the versions that our server asks for. Bots and tests work with these older ones.
    if [ "$name" = crewai ]; then printf 'pydantic>=2.12,<2.13\nrich>=14,<15\n' >"$folder/overrides.txt"; fi
    "$uv" pip install --quiet --no-config --python "$folder/$name" --override "$folder/overrides.txt" \
        --editable . "$@" hypothesis pytest pytest-asyncio pytest-timeout
}

for name in "$@"; do packages "$name" >/dev/null; done
mkdir -p "$folder"
failed=""
for name in "$@"; do
    echo "== $name"
    wanted="$(packages "$name")"
    # shellcheck disable=SC2086 # several words
    if environment "$name" $wanted; then
        "$uv" pip list --quiet --no-config --python "$folder/$name" | grep -E "^(pydantic|${wanted%% *}) " || true
        "$folder/$name/bin/python" -m pytest -q -p no:cacheprovider "$(tests "$name")" || failed="$failed $name"
    else
        failed="$failed $name"
    fi
done
if [ -n "$failed" ]; then
    echo "test_frameworks: failed:$failed" >&2
    exit 1
fi
