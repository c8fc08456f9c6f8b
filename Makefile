# Every target stands with its purpose behind `##`; `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/pip --quiet --disable-pip-version-check

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.lock pyproject.toml
	@echo "Setting up $(VENV): the locked dependencies, about half a minute …"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: setup
setup: $(STAMP) ## make .venv with the locked dependencies

.PHONY: demo
demo: $(STAMP) ## the main job from end to end on this machine: apply, serve, fail over, come back, delete
	@$(BIN)/python -m demo

.PHONY: play
play: $(STAMP) ## the same cluster and edge, kept up for you to try things on
	@$(BIN)/python -m demo --keep

.PHONY: test
test: $(STAMP) ## everything: lint, types, import contracts, all tests
	@tools/timed.sh "make lint" $(MAKE) --no-print-directory lint
	@tools/timed.sh "building etcd, Kubernetes and helm" $(BIN)/python -m devcluster build etcd kubernetes helm
	@tools/timed.sh "make test" $(BIN)/python tools/run_tests.py

.PHONY: test-full
test-full: test ## `make test`, then the longer runs (marked `full`): every disruption under load, one after the other
	@tools/timed.sh "the longer runs" $(BIN)/pytest -m full

.PHONY: test-unit
test-unit: $(STAMP) ## what needs no cluster: unit and component tests, in seconds
	@$(BIN)/pytest tests/unit tests/component

.PHONY: test-breaks
test-breaks: $(STAMP) ## break each law in a copy, one line at a time, and see its tests turn red
	@$(BIN)/python tests/breaks/run.py

.PHONY: bench
bench: $(STAMP) ## measure size and speed at 1,000 tunnels and print the table; about half an hour
	@$(BIN)/python -m bench --output bench/results.md

.PHONY: lint
lint: $(STAMP) ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: format
format: $(STAMP) ## let ruff format and mend what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: generate
generate: $(STAMP) ## write what is generated: crds/, the chart's CRDs, install.yaml, the reference pages
	@$(BIN)/python -m tunnelpool.crd.generate
	@$(BIN)/python -m tunnelpool.domain.reasons > docs/conditions.md
	@$(BIN)/python -m tunnelpool.settings > docs/settings.md
	@$(BIN)/python -m tunnelpool.ops.metrics > docs/metrics.md
	@$(BIN)/python tests/proof/proof_map.py > docs/proof.md
	@HELM="$$($(BIN)/python -m devcluster build helm)/helm" helm/render-install > install.yaml.new
	@mv install.yaml.new install.yaml

.PHONY: lock
lock: $(STAMP) ## resolve requirements/*.lock anew, from releases at least seven days old
	@$(PIP) install uv==0.13.9
	@UV=$(BIN)/uv tools/lock.sh

.PHONY: clean
clean: ## remove .venv and what tests leave behind; built programs stay in the cache outside the tree
	@rm -rf $(VENV) .run .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
