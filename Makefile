# make            lists the targets
# make quick      the tests of the pure core, in under a minute
# make test       everything that CI runs as tests; needs only Python and make
# make check      format, lint, types, import contracts

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
INSTALLED := $(VENV)/.installed

# The decisions, and the protocols without their HTTP clients.
CORE := tests/bigpanda tests/cards tests/config tests/model tests/ratelimit tests/rendering tests/routes tests/slack
WITH_SERVERS := tests/bigpanda/test_client.py tests/bigpanda/test_client_against_sandbox.py \
	tests/bigpanda/test_gateway.py tests/slack/test_client.py tests/slack/test_gateway.py tests/slack/test_socket_mode.py

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Without this, each test process compiles all its modules again, which takes five seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup check format quick test demo gallery tables picture bench image soak release clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@echo 'Installing relay and the tools of its tests into $(VENV). This takes some minutes the first time.'
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable '.[dev]'
	@touch $@

# The demo needs no tools of the tests; where they are installed, relay is, too.
$(INSTALLED): pyproject.toml constraints.txt
	@echo 'Installing relay into $(VENV). This takes about a minute the first time.'
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) --editable .
	@touch $@

setup: $(READY) ## make a virtual environment with all dependencies, at pinned versions

check: $(READY) ## check format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## format the code, and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# What `make quick` covers: the decisions, and the pure part of the protocols.
CORE_CODE := relay/cards/*,relay/config/*,relay/model/*,relay/ratelimit/*,relay/rendering/*,relay/routes/*,$(strip \
	)relay/bigpanda/classify.py,relay/bigpanda/responses.py,relay/bigpanda/webhook/*,$(strip \
	)relay/slack/classify.py,relay/slack/interactions.py,relay/slack/message.py,relay/slack/responses.py
CORE_FLOOR := 90
COVERAGE ?=
QUICK := -q -n 2 --dist worksteal -m 'not slow and not soak' $(CORE) $(WITH_SERVERS:%=--ignore=%) $(ARGS)
START_COVERAGE = rm -rf build/coverage && mkdir -p build/coverage
quick: $(READY) ## run the tests of the pure core, in under a minute (COVERAGE=1: with its branch coverage and floor)
ifeq ($(COVERAGE),)
	$(BIN)/python -m pytest $(QUICK)
else
	$(START_COVERAGE)
	$(BIN)/coverage run -m pytest $(QUICK)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='$(CORE_CODE)' --fail-under=$(CORE_FLOOR)
endif

# With COVERAGE=1 the tests measure branch coverage, also in the processes that they start; that doubles their time.
test: $(READY) ## run every test (COVERAGE=1: measure branch coverage, fail below the floor in pyproject.toml)
ifeq ($(COVERAGE),)
	$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)
else
	$(START_COVERAGE)
	$(BIN)/coverage run -m pytest -n 4 --dist worksteal $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
endif

demo: $(or $(wildcard $(READY)),$(INSTALLED)) ## run the whole product on this machine, with a web page
	$(BIN)/relay demo $(ARGS)

gallery: $(READY) ## draw pictures of every card and reply, in build/gallery
	$(BIN)/python -m tests.gallery.pictures build/gallery

tables: $(READY) ## write again what follows from tables in the code: tables in docs/, and ops/*.schema.json
	$(BIN)/python -m tests.support.document_tables
	$(BIN)/relay schema > ops/routes.schema.json
	$(BIN)/relay schema --tests > ops/tests.schema.json

picture: $(READY) ## take the pictures of the documents again
	$(BIN)/python -m tests.gallery.readme_picture docs

bench: $(READY) ## measure speed and hostile surroundings, into benchmarks/ (ARGS=--full for the whole size)
	$(BIN)/python -m benchmarks.run $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m benchmarks.hostile)

image: ## build the image with buildah, and try it with podman as a stranger without rights (needs root)
	tests/deploy/image.sh

soak: $(READY) ## run the long tests, then kill relay under load for MINUTES=10, on SQLite and on PostgreSQL
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'soak or hypothesis' --hypothesis-profile=soak
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),10) $(ARGS)

# The checks come first, and the tag last: a failure leaves nothing behind.
release: $(READY) ## check, test, build and tag the version in relay/__init__.py, into dist/; pushes nothing
	$(BIN)/python -m release check --contact '$(CONTACT)'
	$(MAKE) check test
	@$(INSTALL) --editable '.[release]'
	$(BIN)/python -m release make --contact '$(CONTACT)'

clean: ## remove everything that these targets make
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist build
