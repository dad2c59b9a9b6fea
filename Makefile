# Everything a newcomer needs: `make demo`, `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types slow bench clean

demo: .venv/.library
	$(BIN)/archgrad demo

test: lint types
	OMP_NUM_THREADS=1 MPLBACKEND=agg $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

lint: .venv/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.development
	$(BIN)/pyright

slow: .venv/.development
	MPLBACKEND=agg $(BIN)/python -m pytest -m slow

bench: .venv/.library
	$(BIN)/archgrad bench

clean:
	rm -rf .venv dist

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "archgrad needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv

# The stamps are named after what they hold, so that `make demo` does not install the development tools.
.venv/.library: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.development: .venv/.library
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@
