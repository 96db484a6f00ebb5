# Everything runs from .venv, which the first target that needs it makes: Python 3.11+, make and git are enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
# The system's certificates count, so that a company's own authority does.
export UV_SYSTEM_CERTS ?= true
# Every workspace member, so that a new service needs no edit here.
MEMBERS := $(sort $(dir $(wildcard shared/*/pyproject.toml services/*/pyproject.toml deploy/local/pyproject.toml)))
SOURCES := shared services deploy helm tests conftest.py

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST) | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi

.venv/ready: requirements.lock pyproject.toml $(addsuffix pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; call make PYTHON=python3.12, say" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "make: this Python cannot make a venv; on Debian: apt install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/uv || { echo "Installing uv $(UV_VERSION) into .venv"; $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); }
	@echo "Installing the packages of requirements.lock (checked by hash) and the workspace"
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --require-hashes --no-deps -r requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

.PHONY: setup
setup: .venv/ready ## Make .venv with everything in it

.PHONY: demo
demo: .venv/ready ## Start the whole system and run its main job (ONCE=1: then stop and exit)
	@$(BIN)/muster-local demo $(if $(ONCE),--once)

.PHONY: up
up: .venv/ready ## Start the whole system, in the background
	@$(BIN)/muster-local up --detach

.PHONY: down
down: .venv/ready ## Stop everything that demo or up started, and nothing else
	@$(BIN)/muster-local down

.PHONY: logs
logs: .venv/ready ## Follow the logs (SERVICE=media: of one service)
	@$(BIN)/muster-local logs --follow $(SERVICE)

.PHONY: test
test: .venv/ready ## Run every test, on real Kafka and PostgreSQL
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: .venv/ready ## Lint, types, import rules, architecture and deployment files
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q -p no:cacheprovider tests/architecture tests/deploy

.PHONY: bench
bench: .venv/ready ## Throughput and latency beside the reference document's own stack (ARGS="--against REV": an older Muster)
	@$(BIN)/python tests/load/bench.py $(ARGS)

.PHONY: chaos
chaos: .venv/ready ## Kill everything, Kafka too, while 20,000 tasks run, and count what was lost
	@$(BIN)/muster chaos run $(ARGS)

.PHONY: schemas
schemas: .venv/ready ## Write the parameter schemas of every service; refused while stored tasks would break (ARGS=--break)
	@for tasks in services/*/*_service/tasks.py; do folder=$${tasks%/tasks.py}; \
	  $(BIN)/muster schemas write $${folder##*/}.tasks:app $${folder%/*}/schemas $(ARGS) || exit $$?; done

.PHONY: lock
lock: .venv/ready ## Resolve the dependencies anew into requirements.lock
	@$(BIN)/uv lock --quiet --upgrade
	@$(BIN)/uv export --quiet --all-packages --all-groups --no-emit-workspace --no-header --format requirements-txt -o requirements.lock

.PHONY: clean
clean: ## Stop the system and remove .venv, caches and .muster (the downloads too)
	@test ! -x $(BIN)/muster-local || $(BIN)/muster-local down
	@rm -rf .venv .muster .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache uv.lock
