# make demo   the main job, on files it makes itself: in ComfyUI if one is found, else without
# make test   everything; where no ComfyUI is found, its tests are skipped and the run says so
# make bench  time and memory beside ComfyUI, into docs/benchmarks.md; ARGS="--quick", ARGS="--device cuda"
# make shots  the tests in the page once more, with pictures of what they see, into SHOTS=shots
# make fuzz   files of all kinds, most of them damaged, and what became of them; N=300000, SEED=1
# The other targets are parts of these.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

SHOTS ?= shots
N ?= 20000
SEED ?= 1

.PHONY: demo test test-rest fuzz fidelity bench shots setup lint test-core test-host test-web clean

# threads that wait for each other are far slower than one where several programs share the cores
demo fuzz test-rest test-core test-host test-web shots: export OMP_NUM_THREADS = 1

demo: $(READY)
	$(BIN)/python -m tools.demo

# the page waits for most of its time, so its tests run beside the others
test: lint
	$(MAKE) --no-print-directory --jobs=2 $(filter --output-sync,$(.FEATURES:output-sync=--output-sync)) test-rest test-web

test-rest: $(READY)
	$(BIN)/python -m pytest -q tests/core tests/fuzz tests/host

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz $(N) $(SEED)

# every family and dialect, beside ComfyUI's own loader; fails if anything is missing
fidelity: $(READY)
	$(BIN)/python -W ignore -m tools.fidelity

# in the Python of the ComfyUI that is found; peft and diffusers come from .venv
bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

# <what>_<renderer>.png in the host's own page, <what>_<renderer>_<version>.png in the newer one
shots: $(READY)
	rm -f $(SHOTS)/*.png
	LORA_ALGEBRA_SHOTS=$(SHOTS) $(BIN)/python -m pytest -q tests/web

setup: $(READY)

lint: $(READY)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/pyright

test-core test-host test-web: test-%: $(READY)
	$(BIN)/python -m pytest -q tests/$*

clean:
	rm -rf .venv demo $(SHOTS)

$(READY): requirements-test.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@
