# usbsync: `make demo` shows a sync, `make test` runs the tests. Each makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-usb check soak bench mutation lint clean

demo: $(READY)
	$(BIN)/usbsync demo

test: $(READY)
	$(BIN)/pytest -n auto

# A USB phone in a virtual machine; needs root, QEMU and more (it says what is missing). POINTS="plug mtp" runs these only.
test-usb: $(READY)
	$(BIN)/python tests/usb/run.py $(POINTS)

check: lint test

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A hundred syncs are killed at random while both sides are worked on; the cable is cut 200 times and falls silent 50 times;
# then each place at which a sync can be cut is tried.
soak: $(READY)
	USBSYNC_SOAK=100 $(BIN)/pytest tests/e2e/test_soak.py
	USBSYNC_CUTS=200 USBSYNC_STALLS=50 USBSYNC_NAMES=300 $(BIN)/pytest --timeout=3000 tests/session/test_cut_cable.py \
		tests/transport/test_names.py
	USBSYNC_CRASH_ALL=1 $(BIN)/pytest -n auto --timeout=6000 tests/session

bench: $(READY)
	$(BIN)/python tests/bench.py
	$(BIN)/python tests/bench_wire.py
	$(BIN)/python tests/bench_unchanged.py
	$(BIN)/python tests/bench_idle.py

mutation: $(READY)
	$(BIN)/python tests/mutation.py

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "usbsync needs Python 3.11 or newer: run again with PYTHON=python3.11 (or newer)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 -m venv is missing: install it with  sudo apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

clean:
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
