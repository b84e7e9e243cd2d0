# Every target but help and clean first makes sure that .venv and Java are there.
# ARGS is passed on, for example: make test ARGS="-k retry"
.PHONY: help setup demo test chaos lint airflow bench build clean
.DEFAULT_GOAL := help

# Spark's tools are looked up on PATH.
# exec: a Ctrl-C has to reach the program itself.
RUN := exec env PATH="$(CURDIR)/.venv/bin:$$PATH"

help:  ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile | expand -t 18

setup:  ## Make .venv, and install Java if it is missing
	@scripts/bootstrap.sh
	@scripts/ensure_java.sh

demo: setup  ## Enrich 28,298 airports: Airflow, Spark and a local API
	@$(RUN) .venv/bin/python -m http_enrich_demo demo $(ARGS)

WORKERS ?= 2

test: setup  ## Run the tests, for which PostgreSQL and Chromium are installed if they are missing
	@scripts/ensure_postgres.sh
	@scripts/ensure_chromium.sh
	@$(RUN) .venv/bin/python -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

SEEDS ?= 200
FIRST ?= 0

chaos: setup  ## Kill processes of real runs by SEEDS seeds (200), from FIRST (0) on
	@$(RUN) CHAOS_SEEDS=$(SEEDS) CHAOS_FIRST_SEED=$(FIRST) .venv/bin/python -m pytest tests/spark_app/chaos $(ARGS)

lint: setup  ## Check formatting, style, types and import directions
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .
	@$(RUN) mypy
	@$(RUN) lint-imports

airflow: setup  ## Airflow with the example DAGs and the local API, until Ctrl-C
	@$(RUN) .venv/bin/python -m http_enrich_demo airflow $(ARGS)

bench: setup  ## Measure transport, middleware, warm-up, DAG parsing, and whole runs on Spark (half an hour)
	@.venv/bin/python -m benchmarks.transport $(ARGS)
	@.venv/bin/python -m benchmarks.middleware $(ARGS)
	@.venv/bin/python -m benchmarks.warmup
	@.venv/bin/python -m benchmarks.parse
	@env PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m benchmarks.pipeline

build: setup  ## Build the wheel and the sdist into dist/
	@$(RUN) hatchling build -d dist

clean:  ## Delete what was built or cached; .venv stays
	rm -rf build dist spark-warehouse metastore_db derby.log
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
