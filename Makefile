# Every target sets itself up: the first one that is run makes .venv and installs the project into it.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed

.PHONY: help install demo steps-of-demo control test test-slow coverage check docs bench clean

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY)  ## make .venv with the project and its developer tools (2 to 4 minutes, 6 GB)

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "no $(PYTHON) here; install Python 3.11 to 3.13, or: make PYTHON=python3.12"; exit 2; }
	@echo "installing into $(VENV): this downloads PyTorch and takes 2 to 4 minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)  ## the whole product on a generated set: draw, preprocess, train, report (about 4 minutes)
	@$(MAKE) --no-print-directory steps-of-demo || { echo "if an older demo is in the way: make clean demo"; exit 2; }

steps-of-demo:
	$(BIN)/mpt-preprocess demo --recipe clean --size 80
	$(BIN)/mpt-preprocess demo --recipe paper --size 80 -o data_cache/demo-paper.h5
	$(BIN)/mpt-train --cache data_cache/demo.h5 --preset demo --name demo
	$(BIN)/mpt-train --cache data_cache/demo-paper.h5 --preset demo-paper --name demo-paper
	$(BIN)/mpt-compare runs/demo runs/demo-paper
	$(BIN)/mpt-report runs/demo

control: demo  ## the demo again without motion: the same network on onset frames alone, beside it (a minute more)
	$(BIN)/mpt-train --cache data_cache/demo.h5 --preset demo-still --name demo-still
	$(BIN)/mpt-compare runs/demo runs/demo-still

test: $(READY)  ## the core tests, on all cores (under 3 minutes on two)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-slow: $(READY)  ## every test that needs no licensed data, the slow ones too
	$(BIN)/python -m pytest -m 'not data'

coverage: $(READY)  ## what those tests reach, child processes included; fails below 90 % (half an hour)
	$(BIN)/python -m pytest -m 'not data' --cov --cov-report=term

check: $(READY)  ## style, spelling, types, the direction of imports, and the documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs: $(READY)  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)  ## measure the speed of preprocessing, as ratios in one run
	$(BIN)/python -m benchmarks.preprocess

clean:  ## remove what the demo made, and build products; never your data sets
	rm -rf datasets/demo datasets/demo-hard data_cache/demo.h5* data_cache/demo-paper.h5* data_cache/demo-hard.h5* runs/demo runs/demo-paper runs/demo-still build dist site
