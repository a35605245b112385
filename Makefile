# Every entry to the project. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

UV_VERSION := 0.13.8
VENV := .venv
BIN := $(VENV)/bin
# uv of the machine if it has one, else one of our own in the environment we make.
UV := $(shell command -v uv 2>/dev/null || echo .flowforge/uv/bin/uv)

export DAGSTER_HOME ?= $(CURDIR)/.flowforge/dagster
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/$(VENV)
unexport VIRTUAL_ENV
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## list what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

.PHONY: env
env: $(VENV)/.synced  ## create or update the environment from uv.lock

$(VENV)/.synced: pyproject.toml uv.lock
	@command -v $(UV) >/dev/null 2>&1 || { echo "· fetching uv (once)"; python3 -m venv .flowforge/uv && .flowforge/uv/bin/pip install -q --disable-pip-version-check "uv==$(UV_VERSION)"; }
	@echo "· creating the environment from uv.lock"
	@$(UV) sync --quiet --locked
	@touch $@

.PHONY: home
home: env
	@mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $(DAGSTER_HOME)/dagster.yaml

.PHONY: demo
demo: home  ## two days of messy files to gold tables, with a summary
	@$(BIN)/python -m flowforge_assets.demo

.PHONY: dev
dev: home  ## web UI and daemon on the demo's lake and instance
	@$(BIN)/dagster dev -w workspace.yaml

.PHONY: test
test: check  ## lint, types, import contract, tests
	@# A worker that dies ends the run: xdist waits for ever for one that replaces it when few files are left.
	@$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder --max-worker-restart 0

.PHONY: check
check: home  ## lint, types and import contract only
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: docs
docs: home  ## write docs/yaml-reference.md from the models
	@$(BIN)/python -m flowforge_assets.yaml_reference > docs/yaml-reference.md

.PHONY: bench
bench: home  ## ratios against a plain script, CSV robustness and speed, discovery; SCALE="1 5" for other sizes
	@$(UV) sync --quiet --locked --group bench
	@$(BIN)/python -m benchmarks $(if $(SCALE),--scale $(SCALE))
	@$(BIN)/python -m benchmarks.csv_robustness
	@$(BIN)/python -m benchmarks.csv_speed
	@$(BIN)/python -m benchmarks.discovery
	@$(BIN)/python -m benchmarks.extraction
	@$(BIN)/python -m benchmarks.delivery

.PHONY: bench-partitions
bench-partitions: home  ## a daily upsert into 50 million rows in 500 partitions; takes 3 GB of disk
	@$(UV) sync --quiet --locked --group bench
	@$(BIN)/python -m benchmarks.partitions

.PHONY: clean
clean:  ## remove the demo's lake and instance (not the environment)
	@rm -rf lake .flowforge/dagster
