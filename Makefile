# rightsize: everything a contributor or a first visitor needs.
# All paths are relative, so a checkout may live in a folder with spaces in its name.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV_PYTHON := .venv/bin/python
DEMO_OUTPUT ?= reports/demo
PYTEST_ARGS ?= -n 2

.PHONY: help setup tools test demo example docs site lint format format-check typecheck pytest lock bench mutation clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo
	@echo "  Variables: PYTHON (interpreter for .venv), PYTEST_ARGS, DEMO_OUTPUT, and to use programs"
	@echo "  you already have: RIGHTSIZE_KUBECTL, RIGHTSIZE_HELM, RIGHTSIZE_PROMETHEUS,"
	@echo "  RIGHTSIZE_PROMTOOL, RIGHTSIZE_VICTORIA_METRICS, RIGHTSIZE_SSHD, RIGHTSIZE_CHROMIUM (each a path)."

setup: ## Create .venv from the hashed lock and install rightsize into it
	@scripts/setup

tools: setup ## Fetch kubectl, helm, prometheus and VictoriaMetrics for the tests into .tools/bin
	@scripts/tools

test: setup tools ## Lint, format check, types and all tests; every part runs, one failure fails
	@scripts/check

demo: setup ## Analyse the sample cluster and write patches and charts to reports/demo
	@PATH="$$PWD/.tools/bin:$$PATH" .venv/bin/rightsize run --source recording:sample-data/recording \
	    --repo sample-data/gitops --output "$(DEMO_OUTPUT)"
	@scripts/show-output "$(DEMO_OUTPUT)"

example: tools ## Make reports/example anew: a few files of a run on the sample cluster
	@PATH="$$PWD/.tools/bin:$$PATH" scripts/example

docs: setup ## Make the pages of docs/ that follow the code: picture, reference, glossary
	@$(VENV_PYTHON) scripts/make_docs.py

site: setup ## Build the documentation as a site into .site; every warning is an error
	@$(VENV_PYTHON) -m mkdocs build --quiet

lint: setup ## ruff check
	@$(VENV_PYTHON) -m ruff check .

format: setup ## Rewrite the code in the house format
	@$(VENV_PYTHON) -m ruff format .
	@$(VENV_PYTHON) -m ruff check --fix --select I .

format-check: setup ## Is every file in the house format?
	@$(VENV_PYTHON) -m ruff format --check .

typecheck: setup ## mypy --strict
	@$(VENV_PYTHON) -m mypy

pytest: setup ## The tests alone; PYTEST_ARGS="-k name" narrows them
	@$(VENV_PYTHON) -m pytest $(PYTEST_ARGS)

lock: setup ## Resolve the dependencies anew into the two hashed lock files
	@scripts/lock

bench: tools ## Run every benchmark in its small size (benchmarks/README.md has the real ones)
	@scripts/bench

mutation: setup ## Change decisions one by one and see whether a test notices; MUTANTS per module
	@$(VENV_PYTHON) scripts/mutation.py --per-module "$${MUTANTS:-6}"

clean: ## Remove what these targets made: .venv, .tools, caches, the demo's output
	@rm -rf .venv .tools .site .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis dist build reports/demo
