# Everything a fresh machine needs is Python 3.11 or later, make and pip: each target makes .venv first.
#   make demo | test | bench | soak | pathway | lint | format | docs | lock | clean
# PYTHON=python3.12 picks the interpreter, ARGS="..." is handed to the command behind a target.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-input --require-hashes --only-binary :all: -r
EDITABLE := $(PIP) install --quiet --no-input --no-deps --no-build-isolation -e .
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url $(if $(UPGRADE),--upgrade)
ARGS ?=

.PHONY: demo test bench soak pathway lint format docs lock clean
.DELETE_ON_ERROR:

demo: $(VENV)/.runtime
	$(BIN)/tidelake demo $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile --durations 25 $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: $(VENV)/.bench
	$(BIN)/tidelake bench $(ARGS)

# Pathway wants an older pyarrow: its runner is tested in an environment of its own.
pathway:
	$(MAKE) VENV=.venv-pathway .venv-pathway/.pathway
	.venv-pathway/bin/python -m pytest tests/stablecoins/test_pathway_engine.py tests/cli/test_stablecoins.py $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	$(BIN)/python scripts/write_cli_page.py

# The later files take the versions of the earlier ones; `make lock UPGRADE=1` moves them all.
lock: $(VENV)/.dev
	printf 'hatchling>=1.25\neditables>=0.5\n' | $(LOCK) - -o requirements/build.txt
	$(LOCK) pyproject.toml -c requirements/build.txt -o requirements/runtime.txt
	$(LOCK) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	$(LOCK) pyproject.toml --extra dev --extra bench -c requirements/dev.txt -o requirements/bench.txt
	cp requirements/dev.txt requirements/pathway.txt  # preferred versions, not bounds: Pathway wants an older pyarrow
	$(LOCK) pyproject.toml --extra dev --extra pathway -o requirements/pathway.txt

clean:
	rm -rf $(VENV) .venv-pathway build dist demo-lake demo.html demo-coins.html bench-results
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: the environment, then what is installed into it. Only names, versions and hashes stand in the lock files.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later found; say make PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements/build.txt requirements/runtime.txt pyproject.toml
	$(INSTALL) requirements/build.txt
	$(INSTALL) requirements/runtime.txt
	$(EDITABLE)
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements/build.txt requirements/dev.txt pyproject.toml
	$(INSTALL) requirements/build.txt
	$(INSTALL) requirements/dev.txt
	$(EDITABLE)
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements/bench.txt
	$(INSTALL) requirements/bench.txt
	@touch $@

$(VENV)/.pathway: $(VENV)/.made requirements/build.txt requirements/pathway.txt pyproject.toml
	$(INSTALL) requirements/build.txt
	$(INSTALL) requirements/pathway.txt
	$(EDITABLE)
	@touch $@
