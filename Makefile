# Everything a newcomer needs: Python 3.11+ and make. Each target sets up what it uses.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo demo-campaign test test-slow lint bench clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@echo "callgate: creating the virtual environment $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "callgate needs Python 3.11 or later, this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "callgate: installing pinned dependencies (about 2 GB; minutes on a first run)"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,train]'
	@touch $(READY)
	@echo "callgate: ready"

demo: $(READY) ## one whole call in Mandarin and one in English, live in the terminal
	@$(BIN)/callgate demo --lang zh
	@$(BIN)/callgate demo --lang en

demo-campaign: $(READY) ## a campaign of 200 simulated borrowers, eight at a time, over real sockets (about twenty minutes)
	@$(BIN)/callgate campaign demo --borrowers 200 --parallel 8

test: $(READY) ## the default tests, under ten minutes on two cores
	@echo "callgate: running the tests"
	@$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile --ignore tests/e2e
	@echo "callgate: running calls end to end, in real time"
	@$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile tests/e2e

test-slow: $(READY) ## the tests that the default run leaves out: every scenario in both languages
	@echo "callgate: running the slow tests"
	@$(BIN)/python -m pytest -q -m slow -n 2 --dist loadfile --ignore tests/e2e
	@echo "callgate: running the other calls end to end, in real time"
	@$(BIN)/python -m pytest -q -m slow tests/e2e

lint: $(READY) ## ruff, mypy strict, import-linter
	@$(BIN)/ruff check --no-cache .
	@$(BIN)/ruff format --check --no-cache .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## the figures, each beside a named peer
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
