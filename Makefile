# make            what there is to make
# make test       everything that CI runs as tests, on a machine with Python and make alone
# make check      format, lint, types, floors

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup check format test demo gallery picture bench soak clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## a virtual environment with everything, at pinned versions

check: $(READY) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## format the code, and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(READY) ## every test
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

demo: $(READY) ## the whole product on this machine, with a page to look at
	$(BIN)/relay demo $(ARGS)

gallery: $(READY) ## pictures of every card and reply, in build/gallery
	$(BIN)/python -m tests.gallery.pictures build/gallery

picture: $(READY) ## the README's picture, taken anew
	$(BIN)/python -m tests.gallery.readme_picture docs/channel.png

bench: $(READY) ## measured speed, into benchmarks/RESULTS.md (ARGS=--full for the whole size)
	$(BIN)/python -m benchmarks.run $(ARGS)

soak: $(READY) ## relay killed under load for MINUTES=10, on SQLite and on PostgreSQL with three relays
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) $(ARGS)

clean: ## remove what was made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist build
