# make demo: learn a digit from images that come with scikit-learn, and report how well it went.
# make test: all tests.  make lint: style, types and layers.  make docs: the documentation, in site/.
# Each sets up .venv by itself.

PYTHON ?= python3
BIN := .venv/bin

# Without bytecode each of the many programs that the tests start would compile what it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint docs clean

demo: .venv/ready
	$(BIN)/adacl demo

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

docs: .venv/ready
	$(BIN)/zensical build --clean --strict

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo dist site .cache
