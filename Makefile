# `make run` and `make test` set everything up by themselves: Python 3.11 or 3.12 and make are enough.
# Set-up happens once; a stamp beside the virtual environment remembers which lock file it came from.

VENV := .venv
PY := $(VENV)/bin/python
BIN := $(VENV)/bin
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
SCENE ?= scenarios/library/brt_corridor.toml
JOBS ?= 2
RUNS ?= 3
ROOMS := protocols roadside scenarios sim vehicle

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-long check bench doctor lock clean

help:
	@echo "make run        set up, run $(SCENE), print the verdict, draw run.png"
	@echo "make test       set up, then every check: format, lint, types, rooms, tests"
	@echo "make test-long  the longer proofs (an hour of traffic, two-hour memory)"
	@echo "make bench      measure, write bench/results/*.json; peers are installed for it"
	@echo "make doctor     what is missing on this machine, and how to get it"
	@echo "make lock       resolve the lock files anew from pyproject.toml"
	@echo "make clean      remove the virtual environment, caches and build output (runs/ stays)"

# A command found on the PATH may still fail (pyenv shims do), so each candidate has to prove itself.
$(PY):
	@for candidate in $(PYTHON) python3.11 python3.12 python3 python /usr/bin/python3; do \
	  if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; then \
	    echo "set-up: virtual environment with $$($$candidate --version)"; \
	    $$candidate -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); exit 1; \
	  fi; \
	done; \
	echo "No Python 3.11 or 3.12 with venv found. Install one (Debian, Ubuntu: apt install python3 python3-venv)," \
	     "or name it: make PYTHON=/path/to/python3.12 run" >&2; exit 2

$(VENV)/.run: requirements.lock pyproject.toml | $(PY)
	@echo "set-up: pinned dependencies"
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@$(PY) -m compileall -q $(ROOMS)  # pip does so for what it installs, but not for an editable package; 0.3 s of every start
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "set-up: pinned tools for the checks"
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.peers: requirements-peers.lock $(VENV)/.dev
	@echo "set-up: pinned peers to measure against"
	@$(PIP_INSTALL) --require-hashes -r requirements-peers.lock
	@touch $@

run: $(VENV)/.run
	@$(BIN)/icv run $(SCENE)

doctor: $(VENV)/.run
	@$(BIN)/icv doctor

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	@tests/install.sh
	$(PY) -m pytest -n $(JOBS) -q -m "not long"

test-long: $(VENV)/.dev
	$(PY) -m pytest -q -m long --timeout 7200

bench: $(VENV)/.peers
	$(BIN)/icv bench all --runs $(RUNS)

LOCK := $(BIN)/uv pip compile pyproject.toml .ci/build.in --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet
lock: $(VENV)/.run
	$(PIP_INSTALL) uv
	$(LOCK) -o requirements.lock
	$(LOCK) -c requirements.lock --extra dev -o requirements-dev.lock
	$(LOCK) -c requirements-dev.lock --extra dev --extra peers -o requirements-peers.lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
