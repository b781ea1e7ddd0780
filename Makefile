# Needs Python 3.11 and make. Everything else goes into .venv. `make help` lists what there is.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
T ?= tests
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check static fix format lint types imports docs lock bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "make %-10s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Everything comes from the lock, hash by hash; the project itself is installed without asking an index again.
$(VENV)/.run: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

run: $(VENV)/.run ## set everything up and start the server with demo data on 127.0.0.1:8000
	$(BIN)/pinakes serve --demo

test: $(VENV)/.dev ## set everything up and run the tests; T=path for some
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not slow" $(T)

test-slow: $(VENV)/.dev ## run the tests of whole servers, those that kill processes, and the large ones
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m slow $(T)

static: format lint types imports docs ## everything that is checked without running it

check: static test test-slow ## the whole gate

fix: $(VENV)/.dev ## format, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format: $(VENV)/.dev ## check the format
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev ## check the style
	$(BIN)/ruff check .

types: $(VENV)/.dev ## check the types, strictly
	$(BIN)/mypy

imports: $(VENV)/.dev ## check who imports whom
	$(BIN)/lint-imports

docs: $(VENV)/.dev ## check that the documents say what is so
	$(BIN)/python -m pytest -q tests/test_documents.py

bench: $(VENV)/.dev ## run the benchmarks (Debian's nginx is their peer) and write bench/RESULTS.md; PARTS="jobs" for some
	$(BIN)/python -m bench $(PARTS)

lock: $(VENV)/.dev ## renew the locked dependencies
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate --extra demo --group dev pyproject.toml -o requirements/dev.txt
	printf 'hatchling\neditables\n' | $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-emit-index-url \
	  --no-emit-find-links --no-header --no-annotate --extra demo -c requirements/dev.txt pyproject.toml - -o requirements/run.txt

clean: ## remove what can be made again, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache .pytest_cache
