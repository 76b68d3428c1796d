# Each target sets up what it needs in .venv, and does nothing where that is done.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
EDITABLE := $(PIP) install --quiet --constraint constraints.txt --editable

.PHONY: demo test lint bench screenshots gallery clean

demo: $(VENV)/.ready
	@$(BIN)/workbench demo

test: $(VENV)/.ready-test
	@$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.ready-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(VENV)/.ready-test
	@for file in startup latency tree long_session throughput surgery augment listing first_f1; do $(BIN)/python benchmarks/$$file.py || exit 1; done

screenshots: $(VENV)/.ready
	@sh .docs/screenshots.sh $(BIN)/workbench

gallery: $(VENV)/.ready-test
	@$(BIN)/python tests/gallery/gallery.py .gallery

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up $(VENV); the first time this downloads PyTorch and takes some minutes."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(EDITABLE) .
	@touch $@

$(VENV)/.ready-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	@$(EDITABLE) '.[test,lint]'
	@touch $@ $(VENV)/.ready
