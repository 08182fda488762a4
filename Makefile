# `make run` is all a newcomer needs; `make test` is all a change needs.
# Everything lives in .venv; a stamp in there says which part is ready, so a second call starts at once.

PYTHON ?= python3
PORT   ?= 8501

VENV    := .venv
PY      := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
DEV     := $(VENV)/.dev
KERNEL  := $(VENV)/.kernel
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check

.DELETE_ON_ERROR:
.PHONY: run test bench lint format clean help

run: $(KERNEL)  ## open the playground on http://127.0.0.1:8501 (PORT=… for another)
	@$(PY) -m streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT)

test: $(DEV) $(KERNEL)  ## run the tests (THOROUGH=1: the long ones as well, as CI does)
	$(PY) -m pytest -n 2 --dist loadgroup

bench: $(DEV) $(KERNEL)  ## measure speed, memory and slider-to-picture into benchmarks/results.md
	$(PY) -m benchmarks

lint: $(DEV)  ## check style, format and types
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

format: $(DEV)  ## put every file in the house format
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

clean:  ## remove everything that make made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

# ---------------------------------------------------------------- stamps

$(RUNTIME): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Strata needs Python 3.11 or newer; try: make run PYTHON=python3.12' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'Python lacks its venv module; on Debian or Ubuntu: sudo apt install python3-venv' >&2; exit 1; }
	@echo 'Setting up Strata in $(VENV): once, about a minute …'
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@echo 'Adding what tests and checks need: once …'
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

$(KERNEL): $(RUNTIME) $(wildcard engine/kernel/*.py)
	@echo 'Compiling the simulation kernel: once, up to a minute …'
	@$(PY) -m engine warm-up
	@touch $@
