# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. Everything runs in a private virtual environment, .venv.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check -q
NATIVE := $(shell find $(CURDIR)/native $(CURDIR)/CMakeLists.txt -type f 2>/dev/null)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1|/' | column -t -s '|'

.PHONY: preflight
preflight:
	@bash tools/preflight.sh $(PYTHON)

$(VENV)/.base: | preflight
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.base pyproject.toml $(NATIVE)
	$(PIP) install -e '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) install -e '.[all,test]'
	@touch $@

$(VENV)/.docs: $(VENV)/.run
	$(PIP) install -e '.[all,docs]'
	@touch $@

.PHONY: demo
demo: $(VENV)/.run ## outsource inference to workers on this machine, checked and paid
	@$(BIN)/vcompute demo

.PHONY: test
test: $(VENV)/.test ## run the tests
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

.PHONY: check
check: $(VENV)/.test ## lint, format, types, import contracts, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PY) tools/generate.py --check

.PHONY: generate
generate: $(VENV)/.test ## write every generated file again: registries, schemas, vectors
	$(PY) tools/generate.py

.PHONY: vectors
vectors: generate ## write the test vectors again, byte for byte

.PHONY: model
model: $(VENV)/.run ## check the settlement's state model with spin over all its states
	$(PY) tools/check_model.py

.PHONY: simulate
simulate: $(VENV)/.docs ## simulate 100,000 workers and write the figures of the simulation's guide again
	$(PY) tools/plot_simulation.py

.PHONY: docs linkcheck
docs: $(VENV)/.docs ## check spelling, build the book (warnings are errors), check its links, open its pages in a browser
	$(BIN)/codespell $(wildcard *.md docs/*.md docs/reference/*.md) docs/guides docs/decisions spec/chapters
	$(BIN)/sphinx-build -E -W --keep-going -q -b html -c docs . docs/_build/html
	$(PY) tools/docs_links.py docs/_build/html
	$(PY) tools/docs_browser.py --if-present docs/_build/html/docs/index.html docs/_build/html/docs/glossary.html \
	  docs/_build/html/docs/guides docs/_build/html/docs/reference/*.html docs/_build/html/spec/chapters
	@echo "docs/_build/html/index.html"

linkcheck: $(VENV)/.docs ## check the book's links to the outside; needs the network
	$(BIN)/sphinx-build -q -b linkcheck -c docs . docs/_build/linkcheck

FUZZ_SECONDS ?= 60
$(VENV)/.fuzz: $(VENV)/.test
	$(PIP) install -e '.[all,test,fuzz]' || echo "atheris is not available here: fuzzing without coverage"
	@touch $@

.PHONY: fuzz
fuzz: $(VENV)/.fuzz ## fuzz every parser for FUZZ_SECONDS each
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS)
	$(PY) tools/fuzz_native.py $(FUZZ_SECONDS)

.PHONY: fuzz-proofs
fuzz-proofs: $(VENV)/.fuzz ## fuzz the verifier of succinct proofs for FUZZ_SECONDS, four ways
	$(PY) -m tests.fuzz --seconds $(FUZZ_SECONDS) succinct succinct-twins succinct-replayed commitment

SANITIZED_FUZZ_SECONDS ?= 15
.PHONY: sanitize
sanitize: $(VENV)/.test ## test and fuzz the native core under AddressSanitizer and UndefinedBehaviorSanitizer
	$(PY) tools/sanitize.py
	$(PY) tools/sanitize.py --fuzz $(SANITIZED_FUZZ_SECONDS)
	$(PY) tools/fuzz_native.py $(SANITIZED_FUZZ_SECONDS)

.PHONY: long
long: sanitize mutants ## the longer suites: sanitizers, fuzzing, seeded bugs, every model on every processor
	$(BIN)/pytest -m exhaustive tests/native/test_kernels.py
	VCOMPUTE_STATEFUL_EXAMPLES=500 $(BIN)/pytest tests/session/test_stateful.py
	$(PY) -m tests.session.kills --seconds 120

.PHONY: exhaustive
exhaustive: $(VENV)/.test ## every flipped bit of small proofs, and the timed bars: many minutes
	$(BIN)/pytest -n 2 -m exhaustive tests

.PHONY: bench
bench: $(VENV)/.test ## measure side by side with LiteRT, numpy and recomputation: build/bench
	$(PY) tools/bench_int8.py $(BENCH_ARGS)
	$(PY) tools/bench_freivalds.py
	$(PY) tools/bench_protocol.py

.PHONY: bench-proofs
bench-proofs: $(VENV)/.test ## measure succinct proofs: every model and batch, beside native execution: build/bench/proofs.json
	$(PY) tools/bench_proofs.py $(BENCH_ARGS)

.PHONY: mutants
mutants: $(VENV)/.test ## put bugs into copies of the library: the conformance suite must catch each
	$(PY) tools/mutants.py

$(VENV)/.wheels: $(VENV)/.base
	$(PIP) install 'scikit-build-core>=0.10' 'cffi>=1.17' 'cmake>=3.26' ninja build wheel auditwheel ziglang
	@touch $@

.PHONY: wheels
wheels: $(VENV)/.wheels ## build the sdist and manylinux wheels for x86-64 and aarch64: dist/
	$(PY) tools/wheels.py

.PHONY: run-wheel
run-wheel: $(VENV)/.wheels ## run the aarch64 wheel of dist/ in an emulated Python, on several processors; needs the network
	$(PY) tools/run_wheel.py

.PHONY: clean
clean: ## remove what was built
	rm -rf build dist .venv
