# Every target sets up what it needs in .venv; nothing is needed beforehand but Python 3.11+, pip and make.
# PYTHON=/path/to/python picks the interpreter that .venv is made with.

VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
# Which of them test-plugins tests: make test-plugins TESTED=plugins/anyjob-ray
TESTED := $(PLUGINS)
# The tests of the core are two halves, of about the same time, that `make --jobs` runs beside each other.
FIRST := $(wildcard tests/test_[a-l]*.py)
KILLS := 3000
# How many runs of the simulation; for an hour, where it is empty.
RUNS :=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test test-core test-core-first test-core-second test-wheel test-plugins test-matrix simulate soak lint docs bench clean
.DELETE_ON_ERROR:

help:  ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-run  ## run a sweep, kill its client half way, and go on from another process
	$(BIN)/python scripts/demo

test: test-core test-wheel test-plugins  ## test the core, the built wheel, and each plugin

test-core: test-core-first test-core-second

test-core-first: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest $(FIRST)

test-core-second: $(VENV)/.stamp-dev
	$(BIN)/python -m pytest $(filter-out $(FIRST),$(wildcard tests/test_*.py))

test-wheel: $(VENV)/.stamp-dev
	scripts/test-wheel

test-plugins: $(VENV)/.stamp-dev  ## test each plugin by itself, its wheel in an environment of its own
	@for plugin in $(TESTED); do \
	  scripts/plugin-venv $$plugin || exit 1; \
	  echo "== tests of $$plugin"; \
	  .venv-$$plugin/bin/python -m pytest -c pyproject.toml --rootdir . $$plugin/tests || exit 1; \
	done

test-matrix: $(VENV)/.stamp-dev  ## test with the oldest and the newest dependencies; PARTS='core plugins/anyjob-ray' for some
	scripts/test-matrix $(PARTS)
	$(if $(PARTS),,scripts/test-old-sqlite)

simulate: $(VENV)/.stamp-dev  ## run the local backend in a simulated world, where things go wrong, for an hour; RUNS=2000 for so many
	$(BIN)/python tests/simulation/run.py $(if $(RUNS),--runs $(RUNS),)

soak: $(VENV)/.stamp-dev  ## kill clients, supervisors, keepers and jobs for a long time, stop them, fill the disk; account for every job
	$(BIN)/python tests/kill_harness.py --kills $(KILLS) --faults
	[ -e .venv-plugins/anyjob-ray/.complete ] || scripts/plugin-venv plugins/anyjob-ray
	.venv-plugins/anyjob-ray/bin/python plugins/anyjob-ray/tests/ray_soak.py --kills $(KILLS)

lint: $(VENV)/.stamp-dev  ## ruff, mypy --strict, and what may not be in a file
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@for plugin in $(PLUGINS); do \
	  [ -e .venv-$$plugin/.complete ] || scripts/plugin-venv $$plugin || exit 1; \
	  echo "== mypy $$plugin"; \
	  $(BIN)/mypy --python-executable .venv-$$plugin/bin/python $$plugin/src || exit 1; \
	done
	$(BIN)/python scripts/check-tree
	$(BIN)/python scripts/check-imports

docs: $(VENV)/.stamp-docs  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "read docs/_build/html/index.html"

bench: $(VENV)/.stamp-run  ## say what can be measured, and how: each takes minutes, so none is run
	@for script in benchmarks/[a-z]*.py; do \
	  printf '  %s\n      %s\n' "$(BIN)/python $$script" "$$(head -n 1 $$script | tr -d '"')"; \
	done
	@echo "What they need and how to read them: docs/reference/benchmarks.md"

clean:  ## remove what was built; .venv stays
	rm -rf build dist docs/_build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .venv-matrix

$(BIN)/python:
	scripts/make-venv $(VENV) "$(PYTHON)"

$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	@echo "== installing anyjob into $(VENV)"
	$(PIP) --editable .
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml | $(BIN)/python
	@echo "== installing anyjob and what its tests need into $(VENV)"
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-docs: pyproject.toml | $(BIN)/python
	@echo "== installing what the documentation needs into $(VENV)"
	$(PIP) --editable '.[docs]'
	@touch $@
