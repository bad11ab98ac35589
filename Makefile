# Two commands do everything: `make up` opens the apps, `make test` proves that they work.
# Everything is written under .venv and .cache here, and under ~/.malmoi by the server itself.

PYTHON ?= python3
# Any build of torch will do; this release has a small CPU build where a CPU index or wheel is configured for pip.
TORCH ?= torch==2.13.0
TEST_HOME := .cache/test-home
TEST_MODEL := $(TEST_HOME)/models/small/model.gguf
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help up setup setup-train setup-dev test test-quick check fix bench bench-peers docs packages clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

up: setup  ## set up and open the chat on http://127.0.0.1:8080
	$(BIN)/malmoi serve $(ARGS)

setup: .venv/serve  ## make .venv with all that the server needs

setup-train: .venv/train  ## make .venv with the model factory too

setup-dev: .venv/dev  ## make .venv with the tools of a developer too

test: packages setup-dev check $(TEST_MODEL)  ## set up and run all tests
	MALMOI_TEST_MODEL=$(abspath $(TEST_MODEL)) $(BIN)/pytest -m "not gpu and not net" -n 2 --dist loadfile $(ARGS)

test-quick: setup-dev  ## the tests that need neither browser nor model
	$(BIN)/pytest -m "not slow and not e2e and not gpu and not net" $(ARGS)

check: setup-dev  ## lint, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports
	$(BIN)/codespell src docs tests README.md CONTRIBUTING.md CHANGELOG.md

fix: setup-dev  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## measure this machine (ARGS="gateway" for one)
	$(BIN)/malmoi bench $(ARGS)

bench-peers: .venv-peers/ready  ## make .venv-peers with what bench users compares with

docs: setup-dev  ## write the reference pages under docs/ anew
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/task_list.py

packages:  ## Debian packages of the tests: a browser, Korean fonts, PostgreSQL
	@scripts/debian-packages.sh

clean:  ## remove .venv, .cache and what the tools left
	rm -rf .venv .venv-peers .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Malmoi needs Python 3.11 or newer; set PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "This Python has no venv. On Debian or Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

.venv/serve: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[serve]'
	@touch $@

.venv/train: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[serve,train]'
	@touch $@ .venv/serve

.venv/dev: .venv/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[all,dev]'
	@touch $@ .venv/serve

$(TEST_MODEL): | .venv/dev
	$(BIN)/malmoi models add small --home $(TEST_HOME)

# An environment of its own: it needs older releases of what we stand on.
.venv-peers/ready:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install -q "rectools[torch]==0.19.0" "$(TORCH)"
	touch $@
