# `make demo` and `make test` work on a fresh machine with python3 (3.11 or later, with venv) and make. They create
# .venv, and repair it if its Python is too old, it was moved, or its installation was interrupted.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

ENVIRONMENT := @$(PYTHON) tools/environment.py $(VENV)
PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: demo check test test-extras test-slow test-lowest lint audit bench docs distributions clean environment

demo:
	$(ENVIRONMENT) plot
	@$(BIN)/dnnkit train

environment:
	$(ENVIRONMENT) test

check: lint
	$(PYTEST) tests/smoke

test: environment
	$(PYTEST) $(PARALLEL)

test-extras: environment
	$(PYTEST) $(PARALLEL) -m extras

test-slow: environment
	$(PYTEST) $(PARALLEL) -m slow

test-lowest: environment
	$(BIN)/python -m tests.lowest

lint: environment
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: environment
	$(BIN)/python -m tests.audit

bench: environment
	$(PYTEST) benchmarks -m 'not slow' --benchmark-max-time=0.05

docs:
	$(ENVIRONMENT) docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -W error -m mkdocs build --strict --quiet
	@echo "$(BIN)/python -m http.server --directory site 8000 shows it at http://localhost:8000"

distributions: environment
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

clean:
	rm -rf $(VENV) build dist site *.egg-info
