# `make demo` and `make test` work on a fresh machine with python3 (3.11 or later, with venv) and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PYTEST := $(BIN)/python -m pytest
PARALLEL := --numprocesses logical --maxprocesses 8 --dist worksteal

.PHONY: demo check test test-extras test-slow lint audit bench clean

demo: $(VENV)/installed
	$(BIN)/dnnkit train

check: lint
	$(PYTEST) tests/smoke

test: $(VENV)/installed-test
	$(PYTEST) $(PARALLEL)

test-extras: $(VENV)/installed-test
	$(PYTEST) $(PARALLEL) -m extras

test-slow: $(VENV)/installed-test
	$(PYTEST) $(PARALLEL) -m slow

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(VENV)/installed-test
	$(BIN)/python -m tests.audit

bench: $(VENV)/installed-test
	$(PYTEST) benchmarks -m 'not slow' --benchmark-max-time=0.05

clean:
	rm -rf $(VENV) build dist *.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(BIN)/python pyproject.toml setup.py
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
