# `make demo` shows runguard at work, `make test` is the whole gate; both make .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
WORKERS ?= auto
PYTEST_ARGS ?=
BENCH_ARGS ?=
MATRIX_ARGS ?=

# A checkout that was moved or copied, or whose interpreter is gone, gets a new .venv:
# the installed scripts and the editable install hold absolute paths.
VENV_WORKS := $(shell test "$$(cat $(VENV)/.made 2>/dev/null)" = "$(CURDIR)" \
	&& $(BIN)/python -c "import pip" 2>/dev/null && echo yes)

# Named on the command line only: the demo writes rows, and a DATABASE_URL that happens to be in
# the environment is most likely another program's.
ON_SERVER := $(filter command line,$(origin DATABASE_URL))
IN_BROWSER := $(filter command line,$(origin WEB))

.PHONY: help demo test test-matrix bench screenshots docs docs-outputs lint types format constraints clean
.DELETE_ON_ERROR:

help:
	@echo "make demo         play the quick check on the embedded store (DATABASE_URL=… for a server,"
	@echo "                  WEB=1 to see it in the browser at the end)"
	@echo "make test         the whole gate: format, lint, types, documentation, tests"
	@echo "make test-matrix  test store and run with the versions that this machine has (MATRIX_ARGS=--all)"
	@echo "make bench        measure (18 minutes; a few with BENCH_ARGS=--quick); BENCH_ARGS=--help says more"
	@echo "make docs         build the documentation; open build/docs/index.html"
	@echo "make docs-outputs write into its blocks what their commands really print"
	@echo "make screenshots  take the pictures of the documentation anew"
	@echo "make lint         ruff alone;  make types: mypy and basedpyright alone"
	@echo "make format       let ruff rewrite the sources"
	@echo "make constraints  pin the newest versions that fit together in constraints.txt"
	@echo "make clean        remove .venv and every cache"

demo: $(VENV)/.demo
	@$(BIN)/runguard demo $(if $(ON_SERVER),--database-url "$$DATABASE_URL") $(if $(IN_BROWSER),--web)

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory --jobs lint types docs
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

test-matrix: $(VENV)/.dev
	@$(BIN)/python -m tests.project.matrix $(MATRIX_ARGS)

# The peers are compared where they install; without them the rest is measured all the same.
bench: $(VENV)/.dev
	@$(PIP) install --quiet --constraint constraints.txt --group bench \
	  || echo "The peers of the group 'bench' do not install here; going on without them." >&2
	@$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

screenshots: $(VENV)/.dev
	RUNGUARD_TEST_SCREENSHOTS=yes $(BIN)/python -m pytest tests/browser/test_screenshots.py

# -W: a page that no list names, a dead link and a docstring that cannot be read are errors.
docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/docs

docs-outputs: $(VENV)/.dev
	RUNGUARD_TEST_DOCS_OUTPUTS=yes $(BIN)/python -m pytest -q tests/usage/docs/test_every_block.py

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/basedpyright

format: $(VENV)/.dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "runguard needs Python 3.11 or newer; there is no '$(PYTHON)' here." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "runguard needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' can make no virtual environment: its modules venv and ensurepip are missing." >&2; \
	  echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@echo "$(CURDIR)" > $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable '.[all]' --group dev --group docs
	@touch $@ $(VENV)/.demo

ifneq ($(VENV_WORKS),yes)
.PHONY: $(VENV)/.made
endif

# Frozen from an environment of its own, so that nothing installed by hand gets in.
constraints:
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder"; \
	"$$folder/bin/python" -m pip install --quiet --upgrade 'pip>=25.1'; \
	"$$folder/bin/python" -m pip install --quiet --editable '.[all]' \
	  --group dev --group docs --group bench; \
	{ echo "# The versions the gate runs with; \`make constraints\` makes this file anew."; \
	  "$$folder/bin/python" -m pip freeze --exclude-editable; } > "$$folder/constraints.txt"; \
	cp "$$folder/constraints.txt" constraints.txt

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
