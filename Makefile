# Set-up happens once, in .venv, in three stages, each on the first target that needs it.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
# An editable install with a compiled part knows the modules that were there: another set of them is installed anew.
MODULES := $(shell find src -name '*.py' | LC_ALL=C sort | cksum | cut -d' ' -f1)
LIBRARY := .venv/library-$(MODULES)# torch and NumPy alone
BENCH := .venv/bench-$(MODULES)# what a study needs
FLIGHT := .venv/flight-$(MODULES)# what flights need
READY := .venv/ready-$(MODULES)# what tests, lint and documentation need
# One thread a process: the demo and the tests run a process on each core instead.
export OMP_NUM_THREADS ?= 1
# Tests start a hundred processes that import the same modules, which would else compile them anew each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo flight test slow coverage oldest smoke library sanitize lint docs bench calibrate wheel clean

$(LIBRARY): pyproject.toml constraints.txt $(wildcard cpp/*)
	test -d .venv || $(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	touch $@

# The package is there already: only what the extra names is installed.
$(BENCH): $(LIBRARY)
	$(PIP) "liquidrnn[bench]"
	touch $@

$(FLIGHT): $(BENCH)
	$(PIP) "liquidrnn[flight,dynamics]"
	touch $@

$(READY): $(BENCH)
	$(PIP) "liquidrnn[dev]"
	touch $@

# Trains liquid and recurrent networks on two real tasks and a control, and writes a report.
demo: $(BENCH)
	$(BIN)/liquidbench run studies/demo.yaml

# Trains policies that fly by sight, and policies that fly unknown drones, and opens both reports.
flight: $(FLIGHT)
	$(BIN)/liquidbench run studies/flight-demo.yaml
	$(BIN)/liquidbench explain results/flight-demo
	$(BIN)/liquidbench run studies/dynamics-demo.yaml
	$(BIN)/python -m webbrowser -t file://$(CURDIR)/results/flight-demo/report.html
	$(BIN)/python -m webbrowser -t file://$(CURDIR)/results/dynamics-demo/report.html

test: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal

# One of these compares with Crazyflow, which brings JAX.
slow: $(READY)
	$(PIP) "crazyflow>=0.4"
	$(BIN)/python -m pytest -m slow

# The same with the share of lines that tests reach. CI asks for as much.
coverage: $(READY)
	$(BIN)/python -m pytest -n 3 --dist worksteal --cov --cov-report=term --cov-fail-under=94

# The library's tests with the oldest versions that it supports, in an environment of their own.
oldest: .venv-oldest/ready
	.venv-oldest/bin/python -m pytest tests/kernels tests/layers tests/test_spans.py tests/test_streaming.py -n 3 --dist worksteal

.venv-oldest/ready: pyproject.toml $(wildcard cpp/*)
	test -d .venv-oldest || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install --quiet torch==2.10.0 numpy==1.26.4
	.venv-oldest/bin/pip install --quiet .
	.venv-oldest/bin/pip install --quiet pytest pytest-xdist hypothesis "scipy>=1.11" mpmath ncps==1.0.1
	touch $@

# A wheel for this machine, with the oldest manylinux that it fits.
wheel: $(READY)
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/auditwheel show dist/*.whl

# Whether the library runs with torch and NumPy alone, and a study with its own extra alone.
library: $(LIBRARY)
	$(BIN)/python -c "import torch, liquidrnn as lr; print(lr.Stream(lr.LTC(3, 8))(torch.ones(3)).shape, lr.backends())"
smoke: $(BENCH)
	$(BIN)/liquidbench run studies/smoke.yaml --plain

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

# Times against peers. `python benchmarks/revisions.py REVISION` compares two revisions in one run.
bench: $(READY)
	$(BIN)/python benchmarks/against_ncps.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/rivals.py

# How often verdicts are false, on results whose truth is known: half an hour on two cores.
calibrate: $(BENCH)
	$(BIN)/python benchmarks/calibrate.py

clean:
	rm -rf .venv .venv-oldest docs/_build dist results
