# Two commands on a fresh machine with any Python from 3.10 to 3.13: `make demo` and
# `make test`. The Python decides the flavour: TF 2.15 with Keras 2 before 3.12,
# TF 2.21 with Keras 3 (or tf-keras, by TF_USE_LEGACY_KERAS=1) from there on.
ifndef PYTHON
PYTHON := $(shell tools/find_python 3.11 3.10 3.13 3.12)
endif
ifndef MODERN_PYTHON
MODERN_PYTHON := $(shell tools/find_python 3.13 3.12)
endif
EXTRAS := dataflow,aws,azure,lake,onnx,compare,qa,dev
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The environment of Keras 3 and tf-keras is the main one where no older Python is.
IS_MODERN := $(shell "$(PYTHON)" -c 'import sys; print("yes" * (sys.version_info >= (3, 12)))' 2>/dev/null)
MODERN_VENV := $(if $(IS_MODERN),$(VENV),.venv-modern)
MODERN_STAMP := $(MODERN_VENV)/.installed
MODERN := $(MODERN_VENV)/bin/python

WORKERS ?= 2
# Tests of a file stay together, so that what they share is made once.
PYTEST := -m pytest -n $(WORKERS) --dist worksteal
# Every public class, and what cuts models in two.
CONFORMANCE := tests/conformance tests/models/test_ranker_halves.py tests/functional

.PHONY: env env-modern demo test test-slow test-faults test-keras-3 test-tf-keras test-all engines test-engines lint audit rooms clean

env: $(STAMP)

env-modern: $(MODERN_STAMP)

$(STAMP): setup.py tools/make_env
	@tools/make_env $(VENV) "$(PYTHON)" $(EXTRAS)
	@touch $@

.venv-modern/.installed: setup.py tools/make_env
	@test -n "$(MODERN_PYTHON)" || { \
	  echo "Keras 3 needs Python 3.12 or 3.13, and none was found. Install one, or" \
	       "name it: make $(MAKECMDGOALS) MODERN_PYTHON=/path/to/python3.13" >&2; exit 1; }
	@tools/make_env .venv-modern "$(MODERN_PYTHON)" $(EXTRAS)
	@touch $@

demo: env
	$(BIN)/hgr-tf demo --output demo

test: env
	$(BIN)/python $(PYTEST)

test-slow: env
	$(BIN)/python -m pytest -m slow

# The fault suite; its table goes to docs/reliability.md.
test-faults: env
	$(BIN)/python $(PYTEST) -p tests.faults -m fault --reliability docs/reliability.md

test-keras-3: env-modern
	$(MODERN) $(PYTEST)

test-tf-keras: env-modern
	TF_USE_LEGACY_KERAS=1 $(MODERN) $(PYTEST) $(CONFORMANCE)

# All three flavours. The modern environment comes first, as the main flavour's suite
# also loads an export in it.
test-all: env-modern
	@test -z "$(IS_MODERN)" || { \
	  echo "make test-all: the main flavour needs Python 3.10 or 3.11, and none was" \
	       "found." >&2; exit 1; }
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory test-keras-3
	$(MAKE) --no-print-directory test-tf-keras

# What docs/pipelines.md calls engines; `make engines ENGINES=flink` gets one of them.
ENGINES := prism flink spark
engines:
	@tools/fetch_engines .engines $(ENGINES)

test-engines: env engines
	$(BIN)/python -m pytest tests/pipelines/test_runners.py -m "slow or not slow" -rs

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	tools/lint_imports $(BIN)
	tools/check_types $(BIN)

# Known vulnerabilities of what is installed: a report, which fails nothing and says so
# where it cannot be made.
audit: env
	@$(BIN)/python tools/audit.py $(VENV) || echo "audit: failed itself; it is a report"

# The picture of the rooms in docs/rooms.md, from the imports.
rooms: env
	tools/lint_imports $(BIN) --draw

clean:
	rm -rf .engines .venv .venv-audit .venv-modern .venv-uv demo build dist *.egg-info
