# Set-up happens once, in .venv, on the first target that needs it.
PYTHON ?= python3
BIN := .venv/bin
# One thread a process: the demo and the tests run a process on each core instead.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test slow lint docs bench clean

.venv/ready: pyproject.toml constraints.txt $(wildcard cpp/*)
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# Trains liquid and recurrent networks on three real tasks and writes a report.
demo: .venv/ready
	$(BIN)/liquidbench run studies/demo.yaml

test: .venv/ready
	$(BIN)/python -m pytest -n 2

slow: .venv/ready
	$(BIN)/python -m pytest -m slow

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

docs: .venv/ready
	$(BIN)/sphinx-build -W -q -b html docs docs/_build

bench: .venv/ready
	$(BIN)/python benchmarks/against_ncps.py

clean:
	rm -rf .venv docs/_build results
