# Set-up happens once, in .venv, on the first target that needs it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test lint

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

test: .venv/ready
	$(BIN)/python -m pytest -n 2

lint: .venv/ready
	$(BIN)/ruff check src tests
	$(BIN)/lint-imports
