# Everything a developer does, by name. Needs Python 3.11 or newer, git and make; the rest it sets up itself:
# .venv-uv holds the installer, .venv holds the exact, hash-checked versions of requirements/ and this package.
# .venv-generator holds the generator of a client from the OpenAPI document, for a test; .venv-bots/ holds what bots need,
# in the newest and in the lowest versions, for the tests of the distribution swarmkeeper-sdk.
# .venv-browser holds what drives a browser, for the tests of the dashboard; .venv-node a Node for `make web` where the path
# has none.
# .venv-frameworks/ holds an environment for each framework of agents that is not among the locked requirements.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test check coverage explore bench sim docs web screenshots frameworks images lock dist sbom lowest clean

# The first Python on the path that is new enough. `make setup PYTHON=python3.13` chooses another.
PYTHON ?= $(shell for p in python3 python python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v $$p && break; done)
BIN := .venv/bin
UV := .venv-uv/bin/uv

# The system's certificates, so that an organisation's proxy is trusted here; and never a downloaded Python.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS = never
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# The tests start hundreds of processes. Without this, each would compile its imports again, for a second or two.
export UV_COMPILE_BYTECODE = 1
unexport PYTHONDONTWRITEBYTECODE

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## make .venv with all that a developer needs (quick when it is up to date)
	@:

demo: setup ## watch a swarm of bots review a directory (STORE=postgres keeps it in a PostgreSQL of its own)
	@$(if $(filter postgres,$(STORE)),$(BIN)/python scripts/demo_postgres.py,$(BIN)/swarmkeeper demo) $(DEMO_ARGS)

# Rules, records, engine and store, without servers and bots: enough while writing, not before handing in.
FAST_TESTS := tests/core tests/engine tests/govern tests/wire tests/service tests/storage tests/observe tests/broker \
	tests/test_files.py tests/test_settings.py

# Two workers more than the smallest machine has cores, because tests wait for processes and for time for half of theirs.
# Each takes half a gigabyte, and a PostgreSQL server of its own. With six, tests that measure would fail now and then.
WORKERS ?= 4

test: setup ## run the tests (FAST=1 runs only those of rules, records, engine and store; WORKERS=4)
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(if $(FAST),$(FAST_TESTS)) $(PYTEST_ARGS)

coverage: setup ## measure which lines the tests run, into build/coverage/html (FAST=1 as for test); no bound is set
	@mkdir -p build/coverage
	@$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term --cov-report=html $(if $(FAST),$(FAST_TESTS)) $(PYTEST_ARGS)

check: setup ## lint, format, spelling, types, import contracts, facts about the code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/codespell
	@$(BIN)/mypy src tests benchmarks
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q tests/tidy

explore: setup ## look for bugs with new examples, for an hour (MINUTES=10; SEED=N repeats a run)
	@$(BIN)/python scripts/explore.py --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

bench: setup ## measure this machine (SCENARIO=lifecycle, or another; BENCH_ARGS are its flags)
	@$(BIN)/swarmkeeper bench $(or $(SCENARIO),lifecycle) $(BENCH_ARGS)

# The first seed is random and printed; with it as --start, the run can be repeated.
SIM_JOBS = $$($(BIN)/python -c 'import os; print(os.cpu_count())')
sim: setup ## rehearse for long: 500 seeds of 6 h, then 50 of 1 h over HTTP (SIM_ARGS are flags in place of these)
ifdef SIM_ARGS
	@$(BIN)/swarmkeeper simulate $(SIM_ARGS)
else
	@$(BIN)/swarmkeeper simulate --seeds 500 --hours 6 --jobs $(SIM_JOBS)
	@$(BIN)/swarmkeeper simulate --seeds 50 --hours 1 --level http --jobs $(SIM_JOBS)
endif

docs: setup ## write the pages that are generated from the code again
	@$(BIN)/python scripts/gen_docs.py

# What it writes is committed, so that neither users nor tests need Node.
web: $(UV) ## build the dashboard into src/swarmkeeper/web (CHECK=1 writes nothing, and fails if it is not up to date)
	@UV="$(UV)" PYTHON="$(PYTHON)" CHECK="$(CHECK)" sh scripts/web.sh

screenshots: setup ## pictures of each page of the dashboard into build/screenshots, to look at
	@$(BIN)/python -m tests.browser.screenshots build/screenshots

# Not part of the ordinary tests: each framework needs an environment of its own, made from what is newest today.
frameworks: $(UV) ## test agents of frameworks that are not locked (NAMES="strands crewai")
	@UV="$(UV)" PYTHON="$(PYTHON)" sh scripts/test_frameworks.sh $(NAMES)

# Not part of the ordinary tests: it needs root, buildah, bubblewrap and mmdebstrap, which are packages of Debian and Ubuntu.
images: setup ## build both container images and run them from their files, as root (BASE=python:3.13-slim, or another)
	@$(BIN)/python -m tests.deploy.images $(if $(BASE),--base $(BASE))

lock: $(UV) ## choose the newest versions again and write requirements/ (KEEP=1 adds what is new, and moves nothing else)
	@UV="$(UV)" KEEP="$(KEEP)" sh scripts/lock.sh

sbom: dist ## write the components of a release into dist/ (CycloneDX), beside the distributions
	@$(BIN)/python scripts/sbom.py

dist: setup ## build the distributions swarmkeeper-sdk and swarmkeeper into dist/, each as source archive and wheel
	@$(BIN)/python scripts/dist.py "$(CURDIR)/$(UV)"

# Left out: what needs agent frameworks and other tools, which ask for newer versions; and facts about the code.
LOWEST_TESTS = $(filter-out tests/agents tests/ai tests/browser tests/deploy tests/swarm tests/docs tests/packaging tests/tidy tests/support tests/top,$(patsubst %/,%,$(wildcard tests/*/)))
lowest: setup ## run the tests on the lowest versions that we allow, in .venv-lowest (needs Python 3.11)
	@test -x .venv-lowest/bin/python || $(UV) venv --quiet --clear --no-config --python "$(PYTHON)" .venv-lowest
	@$(UV) pip sync --quiet --no-config --python .venv-lowest/bin/python --require-hashes requirements/lowest.txt
	@$(UV) pip install --quiet --no-config --python .venv-lowest/bin/python --no-deps --no-build-isolation --offline --editable .
	@.venv-lowest/bin/pytest -n $(WORKERS) --dist worksteal --ignore tests/http/test_fuzz.py $(LOWEST_TESTS) $(PYTEST_ARGS)

clean: ## remove the environments and everything that tools left behind
	rm -rf .venv .venv-uv .venv-generator .venv-bots .venv-browser .venv-node dashboard/node_modules .venv-lowest .venv-frameworks .pytest_cache .pytest_counts .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

# A Python without `venv` (some distributions package it separately) still has a pip that can install into a folder.
$(UV): requirements/uv.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "setup: installing uv into .venv-uv"
	@rm -rf .venv-uv
	@if "$(PYTHON)" -m venv .venv-uv >/dev/null 2>&1; \
	then .venv-uv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements/uv.txt; \
	else rm -rf .venv-uv && "$(PYTHON)" -m pip install --quiet --require-hashes --only-binary :all: --target .venv-uv -r requirements/uv.txt; fi
	@touch $(UV)

.venv/.ready: $(UV) requirements/runtime.txt requirements/dev.txt requirements/generator.txt requirements/bots.txt requirements/bots-lowest.txt requirements/browser.txt requirements/node.txt dashboard/package-lock.json pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer found; name one: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "setup: making .venv with $(PYTHON)" && $(UV) venv --quiet --clear --no-config --python "$(PYTHON)" .venv; }
	@echo "setup: installing what requirements/ names into .venv"
	@$(UV) pip sync --quiet --no-config --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --no-config --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@test -x .venv-generator/bin/python || $(UV) venv --quiet --clear --no-config --python "$(PYTHON)" .venv-generator
	@$(UV) pip sync --quiet --no-config --python .venv-generator/bin/python --require-hashes requirements/generator.txt
	@test -x .venv-browser/bin/python || $(UV) venv --quiet --clear --no-config --python "$(PYTHON)" .venv-browser
	@$(UV) pip sync --quiet --no-config --python .venv-browser/bin/python --require-hashes requirements/browser.txt
	@UV="$(UV)" PYTHON="$(PYTHON)" INSTALL=1 sh scripts/web.sh
	@sh scripts/browser.sh
	@for bots in bots bots-lowest; do \
	test -x .venv-bots/$$bots/bin/python || $(UV) venv --quiet --clear --no-config --python "$(PYTHON)" .venv-bots/$$bots || exit 1; \
	$(UV) pip sync --quiet --no-config --python .venv-bots/$$bots/bin/python --require-hashes requirements/$$bots.txt || exit 1; done
	@touch .venv/.ready
