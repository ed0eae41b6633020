# Two commands for a newcomer: `make serve` and `make test`. Both install into .venv first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt
# Where `make serve` listens; loopback only unless you say otherwise.
HOST ?= 127.0.0.1
PORT ?= 8080

.PHONY: serve test test-all test-clients test-clients-ci lint docs bench bench-quick install clean

serve: $(VENV)/.runtime ## serve the memory at the default place on http://127.0.0.1:8080/mcp
	$(BIN)/gitmem serve --host $(HOST) --port $(PORT)

test: $(VENV)/.dev ## the tests
	$(BIN)/python -m pytest -n auto

test-all: $(VENV)/.dev ## the tests and the long proofs
	$(BIN)/python -m pytest -m ""

test-clients: $(VENV)/.dev ## clients that others wrote, over stdio and HTTP, in both protocol eras (needs npm)
	$(BIN)/python -m tests.clients.check_clients

test-clients-ci: $(VENV)/.dev ## one outside client of each era, and the checks of the protocol's makers
	$(BIN)/python -m tests.clients.check_clients --quick

lint: $(VENV)/.dev ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.dev ## write the generated reference pages anew
	$(BIN)/python -m docs.generate

bench: $(VENV)/.dev ## every benchmark; each prints ratios measured in its own run
	$(BIN)/python -m benchmarks

bench-quick: $(VENV)/.dev ## the same on small data
	$(BIN)/python -m benchmarks --quick

install: $(VENV)/.runtime

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/.runtime

clean: ## remove what was installed and built
	rm -rf $(VENV) build dist .bench
