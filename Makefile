# Set-up happens once, in .venv, on the first target that needs it.
PYTHON ?= python3
BIN := .venv/bin
# An editable install with a compiled part knows the modules that were there: another set of them is installed anew.
READY := .venv/ready-$(shell find src -name '*.py' | LC_ALL=C sort | cksum | cut -d' ' -f1)
# One thread a process: the demo and the tests run a process on each core instead.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test slow sanitize lint docs bench clean

$(READY): pyproject.toml constraints.txt $(wildcard cpp/*)
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

# Trains liquid and recurrent networks on three real tasks and writes a report.
demo: $(READY)
	$(BIN)/liquidbench run studies/demo.yaml

test: $(READY)
	$(BIN)/python -m pytest -n 2

slow: $(READY)
	$(BIN)/python -m pytest -m slow

# The compiled core's tests under sanitizers.
sanitize: $(READY)
	tests/kernels/sanitized.sh

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

docs: $(READY)
	$(BIN)/sphinx-build -W -q -b html docs docs/_build

bench: $(READY)
	$(BIN)/python benchmarks/against_ncps.py
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf .venv docs/_build results
