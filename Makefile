# Every target sets up what it needs in .venv; nothing is needed beforehand but Python 3.11+, pip and make.
# PYTHON=/path/to/python picks the interpreter that .venv is made with.

# Tests start thousands of interpreters: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
# Which of them test-plugins tests: make test-plugins TESTED=plugins/anyjob-ray
TESTED := $(PLUGINS)
# Plugins by themselves, and parts of the core's tests, are what `make --jobs` runs beside each other: whoever has
# done one takes the next, the long ones first.
LONG := plugins/anyjob-ray plugins/anyjob-gridengine plugins/anyjob-ssh plugins/anyjob-dask plugins/anyjob-slurm
TESTS_OF := $(patsubst %,tests-of-%,$(filter $(LONG),$(TESTED)) $(filter-out $(LONG),$(TESTED)))
CORE_PARTS := 0 1 2 3 4 5 6 7
TESTS_OF_CORE := $(patsubst %,tests-of-core-%,$(CORE_PARTS))
# In turns, since engines take most where several are up.
TESTS := $(subst @, ,$(join $(TESTS_OF),$(patsubst %,@%,$(TESTS_OF_CORE))))
KILLS := 3000
# How long `soak` kills while so many jobs run that leave nothing behind.
MINUTES := 60
JOBS := 100000
# How many runs of the simulation; for an hour, where it is empty.
RUNS :=
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help release demo setup test test-core test-wheel test-plugins test-matrix simulate soak lint lint-core docs bench clean \
	$(TESTS_OF) $(TESTS_OF_CORE) $(patsubst %,lint-%,$(PLUGINS))
.DELETE_ON_ERROR:

help:  ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-run  ## run a sweep, kill its client half way, and go on from another process
	$(BIN)/python scripts/demo

test: $(TESTS) test-wheel  ## test the core, the built wheel, and each plugin

test-core: $(TESTS_OF_CORE)

$(TESTS_OF_CORE): tests-of-core-%: $(VENV)/.stamp-dev
	@echo "== tests of the core, part $* of $(CORE_PARTS)"
	@scripts/run-tests core-$* $(BIN)/python $$(ls tests/test_*.py | awk 'NR % $(words $(CORE_PARTS)) == $*')

test-wheel: $(VENV)/.stamp-dev
	scripts/test-wheel

test-plugins: $(TESTS_OF)  ## test each plugin by itself, its wheel in an environment of its own

$(TESTS_OF): tests-of-%: $(VENV)/.stamp-dev
	@scripts/plugin-venv $*
	@echo "== tests of $*"
	@scripts/run-tests $(notdir $*) .venv-$*/bin/python -c pyproject.toml --rootdir . $*/tests

test-matrix: $(VENV)/.stamp-dev  ## test with the oldest and the newest dependencies; PARTS='core plugins/anyjob-ray' for some
	scripts/test-matrix $(PARTS)
	$(if $(PARTS),,scripts/test-old-sqlite)
	$(if $(PARTS),,! command -v oarsub >/dev/null && [ "$$(id -u)" != 0 ] || scripts/check-oar)

simulate: $(VENV)/.stamp-dev  ## run the local backend in a simulated world, where things go wrong, for an hour; RUNS=2000 for so many
	$(BIN)/python tests/simulation/run.py $(if $(RUNS),--runs $(RUNS),)

soak: $(VENV)/.stamp-dev  ## kill clients, supervisors, keepers and jobs for a long time, stop them, fill the disk; account for every job
	$(BIN)/python tests/kill_harness.py --kills $(KILLS) --faults
	$(BIN)/python tests/kill_harness.py --kills $(KILLS) --minutes $(MINUTES) --jobs $(JOBS)
	ANYJOB_TEST_GRAPHS=$$(( $(KILLS) / 3 )) $(BIN)/python -m pytest -q tests/test_release_graphs.py
	[ -e .venv-plugins/anyjob-ray/.complete ] || scripts/plugin-venv plugins/anyjob-ray
	.venv-plugins/anyjob-ray/bin/python plugins/anyjob-ray/tests/ray_soak.py --kills $(KILLS)
	[ -e .venv-plugins/anyjob-ssh/.complete ] || scripts/plugin-venv plugins/anyjob-ssh
	.venv-plugins/anyjob-ssh/bin/python plugins/anyjob-ssh/tests/ssh_soak.py --kills $(KILLS)
	[ -e .venv-plugins/anyjob-gridengine/.complete ] || scripts/plugin-venv plugins/anyjob-gridengine
	ANYJOB_TEST_BULK=1000 .venv-plugins/anyjob-gridengine/bin/python -m pytest -q -c pyproject.toml --rootdir . \
	  -k a_thousand_jobs --timeout 600 plugins/anyjob-gridengine/tests/test_gridengine_conforms.py

lint: lint-core $(patsubst %,lint-%,$(PLUGINS))  ## ruff, mypy --strict, and what may not be in a file

lint-core: $(VENV)/.stamp-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python scripts/check-tree
	$(BIN)/python scripts/check-imports
	$(BIN)/python scripts/check-code
	$(BIN)/mypy

# Where a plugin is tested too, its tests make the environment.
$(patsubst %,lint-%,$(PLUGINS)): lint-%: $(VENV)/.stamp-dev $(if $(filter test,$(MAKECMDGOALS)),tests-of-%)
	@[ -e .venv-$*/.complete ] || scripts/plugin-venv $*
	@echo "== mypy $*"
	@$(BIN)/mypy --cache-dir .mypy_cache/$(notdir $*) --python-executable .venv-$*/bin/python $*/src

docs: $(VENV)/.stamp-docs  ## build the documentation into docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "read docs/_build/html/index.html"

release: $(VENV)/.stamp-dev  ## build what is published, and check it; nothing is uploaded
	scripts/release

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

setup: pyproject.toml | $(BIN)/python  # all that is needed here, at once
	@echo "== installing anyjob and what its tests and its documentation need into $(VENV)"
	$(PIP) --editable '.[dev,docs]'
	@touch $(VENV)/.stamp-run $(VENV)/.stamp-dev $(VENV)/.stamp-docs

$(VENV)/.stamp-docs: pyproject.toml | $(BIN)/python
	@echo "== installing what the documentation needs into $(VENV)"
	$(PIP) --editable '.[docs]'
	@touch $@
