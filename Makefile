# The verbs of the house: check never writes, fix is the only writer, test runs all that can run here.
# `make` alone lists them. Nothing is needed but Python 3.11 or newer with venv, git and make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV ?= .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.installed-runtime
DEV := $(VENV)/.installed-dev
# How many tests run side by side; ARGS narrows `make test` down: make test ARGS="tests/store -k lease".
JOBS ?= 4
ARGS ?=
SOURCES := src tests $(wildcard benchmarks) scripts

# A caller's settings for other environments must not leak into this one.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_REQUIRE_VIRTUALENV PIP_NO_BUILD_ISOLATION
unexport PIP_NO_DEPS PIP_PYTHON PIP_DRY_RUN PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE VIRTUAL_ENV
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# The first Python on the machine that is new enough; PYTHON=... overrules.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3.11 python3 python3.12 python3.13 python3.14; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
endif

.PHONY: help demo up check fix test test-long matrix bench bench-proof bench-crew clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(RUNTIME) ## the main job on a sample repository: no model, no key, no network beyond the package index
	@$(VENV)/bin/muster demo

up: $(RUNTIME) ## run the server in the foreground on http://127.0.0.1:3020
	@$(VENV)/bin/muster up

check: $(DEV) ## lint, format, types, floors, dependencies, dead code, own checks; never writes
	@$(PY) -m scripts.checks $(SOURCES)

fix: $(DEV) ## the only writer: apply what the linter and the formatter can mend
	@left=0; $(PY) -m ruff check --fix $(SOURCES) || left=$$?; \
	$(PY) -m ruff format $(SOURCES); \
	exit $$left

test: $(DEV) ## every test that can run here, with branch coverage; then what was skipped and how to enable it
	@$(PY) -m coverage erase; mkdir -p build
	@failed=0; \
	$(PY) -m coverage run -m pytest -n $(JOBS) --dist worksteal --durations=15 --durations-min=0.5 \
		-o cache_dir=build/pytest --cache-clear $(ARGS) || failed=$$?; \
	if [ $$failed = 1 ] && $(PY) -m scripts.again; then failed=0; fi; \
	$(PY) -m coverage combine --quiet || failed=$$?; \
	$(PY) -m coverage report $(if $(ARGS),--fail-under=0) >build/coverage.txt || failed=$$?; \
	sed -n '/^TOTAL/,$$p' build/coverage.txt; echo "by file: build/coverage.txt"; \
	exit $$failed

test-long: $(DEV) ## the long property and soak tests: many more examples, no coverage
	@MUSTER_LONG=1 $(PY) -m pytest -n $(JOBS) --durations=15 --durations-min=5 --timeout=1800 $(ARGS)

matrix: $(DEV) ## every real agent program in every place, as a table; ARGS="--only codex --place sandbox --json"
	@PYTHONPATH=tests:. $(PY) -m matrix $(ARGS)

bench: $(DEV) ## measure what the documents claim
	@$(PY) -m benchmarks $(ARGS)

bench-proof: $(DEV) ## planted defects: how many get through, and how many good changes are stopped
	@$(PY) -m benchmarks.proof $(ARGS)

bench-crew: $(DEV) ## walk every playbook with scripted agents, the server killed after each of its events
	@PYTHONPATH=tests:. $(PY) -m walks $(ARGS)

clean: ## remove the environment, the caches and everything else that was made here
	@rm -rf $(VENV) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -not -path './.git/*' -exec rm -rf {} +

# The environment: made when it is missing, brought up to date when pyproject.toml changes.
$(PY):
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer was found; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Making $(VENV) with $$($(PYTHON) --version 2>&1) …"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "make: this Python has no working venv; on Debian: apt-get install python3-venv" >&2; exit 2; }

$(RUNTIME): pyproject.toml $(PY)
	@echo "Installing muster into $(VENV) …"
	@start=$$SECONDS; $(PY) -m pip install --quiet --quiet --editable . || { echo "make: installing failed; is the package index reachable?" >&2; exit 2; }; \
	echo "… done in $$((SECONDS - start)) s"
	@touch $@

$(DEV): pyproject.toml $(PY)
	@echo "Installing muster and its development tools into $(VENV) …"
	@start=$$SECONDS; $(PY) -m pip install --quiet --quiet --editable '.[dev]' || { echo "make: installing failed; is the package index reachable?" >&2; exit 2; }; \
	echo "… done in $$((SECONDS - start)) s"
	@touch $@ $(RUNTIME)
