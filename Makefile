# make demo   the main job, on files it makes itself: in ComfyUI if one is found, else without
# make check  for every save: lint, types, and the core without a host, on all cores
# make test   everything that a change needs; where a ComfyUI is not found, its tests are skipped and the run says so
# make test-slow  every test in every host and page, and what takes its time; for a release, not for a change
# make faults, soak, web-cases  parts of it: FAULTS=10000 PROMPTS=2000 SEED=1 HOST=0.28
# make bench  time and memory beside ComfyUI, into docs/benchmarks.md; ARGS="--quick", ARGS="--device cuda"
# make shots  the tests in the page once more, with pictures of what they see, into SHOTS=shots
# make animation  records the moving picture of the README from the real page, into docs/rows.webp
# make docs   the documentation site, into site/
# make fuzz   files of all kinds, most of them damaged, and what became of them; N=300000, SEED=1
# The other targets are parts of these.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DOCS_READY := .venv-docs/.ready
NPM := $(shell command -v npm 2>/dev/null)
NODE_READY := node_modules/.ready

SHOTS ?= shots
N ?= 20000
FAULTS ?= 10000
PROMPTS ?= 2000
SEED ?= 1
HOST ?= 0.28
JOBS ?= 2

# of `lora-algebra render`, too
CORE_TESTS := tests/core tests/render --ignore=tests/render/host
HOST_TESTS := tests/host tests/render/host

.PHONY: demo check test $(addprefix test-,classic nodes2 sampling rest newer) test-slow fuzz faults soak web-cases fidelity bench docs shots animation setup lint lint-js test-core test-host test-web clean

# threads that wait for each other are far slower than one where several programs share the cores
demo check test-core $(addprefix test-,classic nodes2 sampling rest newer) test-host test-web test-slow fuzz faults soak web-cases shots animation: export OMP_NUM_THREADS = 1

demo: $(READY)
	$(BIN)/python -m tools.demo

# each part has servers of its own; on two cores, more than two parts at a time only wait for each other
test: lint
	$(MAKE) --no-print-directory --keep-going --jobs=$(JOBS) $(filter --output-sync,$(.FEATURES:output-sync=--output-sync)) \
		test-rest test-classic test-core test-sampling test-nodes2 test-newer

test-classic test-nodes2: test-%: $(READY)
	$(BIN)/python -m pytest -q tests/web --part $*

test-sampling test-rest test-newer: test-%: $(READY)
	$(BIN)/python -m pytest -q $(HOST_TESTS) --part $*

check: lint
	$(BIN)/python -m pytest -q -n auto -m 'not thorough' $(CORE_TESTS)

fuzz: $(READY)
	$(BIN)/python -m tests.fuzz $(N) $(SEED)

test-slow: lint
	$(BIN)/python -m pytest -q --slow tests
	$(MAKE) --no-print-directory faults soak HOST=0.28
	$(MAKE) --no-print-directory faults soak HOST=0.33

# an error at every line of ours in the host, of three kinds; what follows must be right
faults: $(READY)
	$(BIN)/python -m tools.faults --faults $(FAULTS) --seed $(SEED) --host $(HOST)

# many prompts of mixed recipes; each must be what it is alone
soak: $(READY)
	$(BIN)/python -m tools.soak --prompts $(PROMPTS) --seed $(SEED) --host $(HOST)

# what an attacker may ask, write into a file, a workflow or the browser's store; in every host and page
web-cases: $(READY)
	$(BIN)/python -m pytest -q --slow tests/host/test_route.py tests/host/test_hostile_requests.py tests/web/test_hostile.py

# every family and dialect, beside ComfyUI's own loader; fails if anything is missing
fidelity: $(READY)
	$(BIN)/python -W ignore -m tools.fidelity

# in the Python of the ComfyUI that is found; peft and diffusers come from .venv
bench: $(READY)
	$(BIN)/python -m benchmarks $(ARGS)

# links that lead nowhere, pages that nobody reaches and broken docstrings are errors
docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet

# <what>_<renderer>.png in the host's own page, <what>_<renderer>_<version>.png in the newer one
shots: $(READY)
	rm -f $(SHOTS)/*.png
	LORA_ALGEBRA_SHOTS=$(SHOTS) $(BIN)/python -m pytest -q tests/web

animation: $(READY)
	$(BIN)/python -m tools.animation

setup: $(READY)

lint: $(READY) $(if $(NPM),lint-js)
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	@said=$$($(BIN)/lint-imports --no-cache) || { echo "$$said"; exit 1; }
	$(BIN)/pyright
	$(if $(NPM),,@echo "SKIPPED: THE PAGE'S JAVASCRIPT WAS NOT CHECKED, SINCE THERE IS NO npm" >&2)

# types by TypeScript, from the comments; rules and format by Biome
lint-js: $(NODE_READY)
	@if [ -e $(NODE_READY) ]; then set -x; node_modules/.bin/tsc && node_modules/.bin/biome check --error-on-warnings --log-level=warn; fi

test-core: $(READY)
	$(BIN)/python -m pytest -q $(CORE_TESTS) tests/fuzz

test-host: $(READY)
	$(BIN)/python -m pytest -q $(HOST_TESTS)

test-web: $(READY)
	$(BIN)/python -m pytest -q tests/web

clean:
	rm -rf .venv .venv-docs node_modules site demo $(SHOTS)

$(READY): requirements-test.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

$(DOCS_READY): requirements-docs.txt
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

$(NODE_READY): package.json package-lock.json
	@if npm ci --silent --no-audit --no-fund; then touch $@; else \
		echo "SKIPPED: THE PAGE'S JAVASCRIPT WAS NOT CHECKED, SINCE npm ci FAILED" >&2; fi
