# Two commands on a fresh machine: `make demo` and `make test`.
# A name on the PATH may be a pyenv shim that refuses to run, so each is tried.
PYTHON ?= $(shell \
  for python in python3.11 python3.10 python3 python "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[01].*/bin/python; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null \
      && echo "$$python" && break; \
  done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The two other flavours, TF 2.21 with Keras 3 or tf-keras.
MODERN_PYTHON ?= $(shell \
  for python in python3.12 python3.13 python3 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[23].*/bin/python; do \
    "$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 12), (3, 13)))' 2>/dev/null \
      && echo "$$python" && break; \
  done)
MODERN_VENV := .venv-modern
MODERN_STAMP := $(MODERN_VENV)/.installed
FLAVOURED := tests/conformance tests/models/test_ranker_halves.py tests/functional/test_shared_part.py

.PHONY: env env-modern demo test test-slow conformance conformance-both lint clean

env: $(STAMP)

$(STAMP): setup.py
	@test -n "$(PYTHON)" || { \
	  echo "hgr_tf needs Python 3.10 or 3.11 (found: $$(python3 --version 2>&1 || echo none))." \
	       "Install python3.11 or say: make env PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' 2>/dev/null || { \
	  echo "hgr_tf develops on Python 3.10 or 3.11; $(PYTHON) is" \
	       "$$("$(PYTHON)" --version 2>/dev/null || echo "no Python that runs")." >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dataflow,onnx,compare,dev]'
	@touch $(STAMP)

env-modern: $(MODERN_STAMP)

$(MODERN_STAMP): setup.py
	@test -n "$(MODERN_PYTHON)" || { \
	  echo "The modern flavour needs Python 3.12 or 3.13; none found." \
	       "Install one or say: make env-modern MODERN_PYTHON=/path/to/python3.12" >&2; exit 1; }
	"$(MODERN_PYTHON)" -m venv $(MODERN_VENV)
	$(MODERN_VENV)/bin/pip install --quiet --upgrade pip
	$(MODERN_VENV)/bin/pip install --quiet --editable '.[compare,dev]'
	@touch $(MODERN_STAMP)

demo: env
	$(BIN)/hgr-tf demo --output demo

test: env
	$(BIN)/python -m pytest -n 2

test-slow: env
	$(BIN)/python -m pytest -m slow

# Every public class and rankers of any make on the two other flavours, and an export in the newest TensorFlow. Without a
# Python for them it is skipped, but not in CI.
conformance:
	@if test -e $(MODERN_STAMP) || test -n "$(MODERN_PYTHON)"; then \
	  $(MAKE) --no-print-directory conformance-both; \
	elif test "$${CI:-}" = true; then \
	  echo "make conformance: no Python 3.12 or 3.13 found; CI needs one." >&2; exit 1; \
	else \
	  echo "make conformance: skipped, no Python 3.12 or 3.13 found."; \
	fi

conformance-both: env env-modern
	TF_USE_LEGACY_KERAS=1 $(MODERN_VENV)/bin/python -m pytest $(FLAVOURED)
	$(MODERN_VENV)/bin/python -m pytest $(FLAVOURED)
	$(BIN)/python -m pytest tests/export/test_modern.py

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) $(MODERN_VENV) demo build dist *.egg-info
