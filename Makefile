# make demo   the quick start on a real data set: a table per task and a figure
# make test   the whole test suite
# make lint   style, types, import layers
# make docs   the documentation, warnings are errors
# make clean  what these commands made
#
# Everything happens in $(VENV), made on first use. Another interpreter: make demo PYTHON=python3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# More processes than cores only get in each other's way; a worker imports torch, hence the ceiling.
PYTEST_ARGS ?= -n auto --maxprocesses=8 --dist worksteal

# One thread a process: two torch threads on two busy cores are many times slower than one.
export OMP_NUM_THREADS ?= 1
# No command opens a window.
export MPLBACKEND ?= Agg
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: help demo test lint docs clean

help:
	@sed -n '1,7s/^# \{0,1\}//p' Makefile

demo: $(VENV)/.installed-plot
	$(BIN)/python examples/plot_quickstart.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build docs/gallery docs/api docs/sg_execution_times.rst dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# The stamps hold what is installed, so that a repeated command starts at once; a changed
# pyproject.toml or constraints.txt installs again.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install -c constraints.txt -e '.[$*]'
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("skmtl needs Python 3.11 or newer. Found %d.%d; name another one with PYTHON=..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	@touch $@
