# Every target does its own set-up; a second call is quick. ARGS goes to the command.
SHELL := /bin/bash
PYTHON_IN := .venv/bin/python
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check lint types format docs services services-stop bench chaos \
  clean ready ready-dev get-services

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 16

demo: ready ## a plant of simulated meters through the whole chain; ARGS="--seconds 40", SERVICES=real
	@exec deploy/demo.sh "$(SERVICES)" $(ARGS)

test: ready-dev get-services ## ruff, mypy and all tests; ARGS go to pytest
	@$(MAKE) --no-print-directory --keep-going lint types run-tests

.PHONY: run-tests
run-tests: ready-dev
	@$(PYTHON_IN) -m pytest -n 2 --dist loadgroup $(ARGS)

check: ready-dev ## ruff and mypy, without the tests
	@$(MAKE) --no-print-directory --keep-going lint types

lint: ready-dev ## ruff: mistakes and format
	@$(PYTHON_IN) -m ruff check
	@$(PYTHON_IN) -m ruff format --check

types: ready-dev ## mypy --strict
	@$(PYTHON_IN) -m mypy

format: ready-dev ## mend what ruff can mend, and format
	@$(PYTHON_IN) -m ruff check --fix-only
	@$(PYTHON_IN) -m ruff format

docs: ready-dev ## make the generated parts of README.md and docs/ anew
	@$(PYTHON_IN) -m tests.reference

services: ## get and start mosquitto, Kafka, InfluxDB and VictoriaMetrics on loopback
	@deploy/services.sh start

services-stop: ## stop them
	@deploy/services.sh stop

bench: ready-dev get-services ## measure against the bars; ARGS="--fast codec"
	@exec $(PYTHON_IN) -m tests.benchmarks $(ARGS)

chaos: ready-dev get-services ## kill flows and broker 100 times and count; ARGS="--kills 10"
	@exec $(PYTHON_IN) -m tests.chaos $(ARGS)

clean: services-stop ## remove the environment, the caches and the servers' files
	@rm -rf .venv .services .setup.lock .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

ready:
	@deploy/setup.sh run

ready-dev:
	@deploy/setup.sh dev

get-services:
	@deploy/services.sh get
