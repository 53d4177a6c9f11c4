# make run: the demonstration campaign; make test: the tests. Each sets up all it needs in .venv.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
READY   = $(VENV)/.ready
# the CPU build where the index has it, else whatever torch the index gives
TORCH  ?= torch==2.13.0

# processes of make test; 0 runs all tests in one
PYTEST_WORKERS ?= 2

export OMP_NUM_THREADS = 1

.PHONY: run test test-fast lint bench clean

run: $(READY)
	$(BIN)/sse run campaigns/demo.yaml

test: $(READY) lint
	$(BIN)/python -m pytest -q --durations=10 -n $(PYTEST_WORKERS) --dist loadgroup

# without what needs a force field or takes long
test-fast: $(READY)
	$(BIN)/python -m pytest -q -m "not slow and not forcefield"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/phonon_flow.py

KERNEL = $(wildcard sse_flows/models/subset_search/screen*)

$(READY): pyproject.toml $(KERNEL)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "the venv module is missing; trying: apt-get install python3-venv"; \
	  SUDO=$$(command -v sudo || true); \
	  $$SUDO apt-get update -q && $$SUDO apt-get install -y -q python3-venv; }
	@command -v c++ >/dev/null || { \
	  echo "no C++ compiler: the subset search will be slower; trying: apt-get install g++"; \
	  SUDO=$$(command -v sudo || true); \
	  $$SUDO apt-get update -q && $$SUDO apt-get install -y -q --no-install-recommends g++ || true; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q "$(TORCH)" || $(BIN)/python -m pip install -q "torch>=2.4"
	$(BIN)/python -m pip install -q -e ".[forcefield,mp,dev]"
	@touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
