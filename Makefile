# make demo      sets up and runs a campaign        make check     lint, format, types, architecture
# make test      sets up and passes all tests       make coverage  tests with branch coverage
# make test-all  the same on every Python found     make bench     speed beside the peers, in one run
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Every Python of a supported version on this machine.
PYTHONS ?= $(foreach v,3.11 3.12 3.13,$(firstword $(wildcard $(HOME)/.pyenv/versions/$(v).*/bin/python) \
  $(shell python$(v) -c 'import sys; print(sys.executable)' 2>/dev/null)))

.PHONY: setup demo test pythons test-all check coverage bench lock clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Podium needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(BIN)/podium run examples/01-campaign --campaign-json .podium/campaigns

test: setup check
	$(BIN)/python -m pytest

pythons:
	@echo "Pythons found: $(PYTHONS)"
	@for python in $(PYTHONS); do \
	  $(MAKE) --no-print-directory setup PYTHON=$$python VENV=.venvs/$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') || exit 1; \
	done

test-all: pythons
	@set -e; export PODIUM_PYTHONS=$$(echo $(CURDIR)/.venvs/3.*/bin/python | tr ' ' ':'); \
	for venv in .venvs/3.*; do echo "== $$venv"; $$venv/bin/python -m pytest -q; done

coverage: setup
	$(BIN)/python -m pytest -q --cov --cov-report=term

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench:
	$(PYTHON) -m venv .venvs/bench
	.venvs/bench/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	.venvs/bench/bin/python -m pip install --quiet --disable-pip-version-check -e . --group bench
	.venvs/bench/bin/python -m bench --json bench/results.json

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --group dev pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .venvs .pytest_cache .ruff_cache .hypothesis .coverage
