# make setup | app | test | lint | measure | load | screenshots

# Candidates, tried in this order; one of your own: make app PYTHON=/path/to/python3.12
PYTHON ?= python3.11 python3.12 python3

# Where torch comes from, if not from pip's usual index. On Linux that index holds the CUDA build (several GB);
# without an NVIDIA GPU use: make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check -q
CHROMIUM := /usr/bin/chromium

.PHONY: setup app test lint measure load screenshots chromium
.DELETE_ON_ERROR:

setup: $(VENV)/.installed

app: setup
	$(VENV)/bin/python app.py

test: $(VENV)/.installed-dev chromium
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

# Figures against their budgets: one page in Chromium; twice 200 pages with 60 washes (about twenty minutes).
measure: $(VENV)/.installed-dev chromium
	$(VENV)/bin/python -m tests.measure.page

load: $(VENV)/.installed-dev
	$(VENV)/bin/python -m tests.measure.load

# The README's pictures, in assets/screenshots.
screenshots: $(VENV)/.installed-dev chromium
	$(VENV)/bin/python -m tests.measure.screenshots

# A .venv that an interruption left without pip, or whose Python is gone, is made anew.
ifneq ($(wildcard $(VENV)/pyvenv.cfg),)
ifeq ($(shell $(VENV)/bin/python -m pip --version 2>/dev/null),)
.PHONY: $(VENV)/pyvenv.cfg
endif
endif

# A python on the PATH may be a pyenv shim that only fails, or lack venv (Debian): so each candidate is run.
$(VENV)/pyvenv.cfg:
	@for python in $(PYTHON); do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in [(3, 11), (3, 12)])' 2>/dev/null; \
	  then echo "$$python -m venv $(VENV)"; exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo "No usable Python 3.11 or 3.12 among: $(PYTHON). Install one with its venv module" \
	  "(Debian: apt install python3.11-venv), or name one: make setup PYTHON=/path/to/python3.12" >&2; exit 1

# torch first, when it has its own index: the second line then finds it there and fetches no other.
# Interrupted, it is done again: pip installs what is missing, and what it had half unpacked.
$(VENV)/.installed: requirements.txt $(VENV)/pyvenv.cfg
	@echo "Installing packages into $(VENV), once: a few minutes. Interrupted, the same command goes on."
	$(if $(TORCH_INDEX),$(PIP) install --index-url $(TORCH_INDEX) "$$(grep '^torch[<>=]' requirements.txt)")
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-eval.txt $(VENV)/.installed
	$(PIP) install -r requirements-dev.txt
	@touch $@

# The browser tests drive Debian's Chromium; Playwright's own download is not used.
chromium:
	@[ -x $(CHROMIUM) ] && exit; \
	if ! command -v apt-get >/dev/null; then \
	  echo "The browser tests need $(CHROMIUM), and there is no apt-get to install it with." >&2; exit 1; fi; \
	if [ "$$(id -u)" = 0 ]; then sudo=; \
	elif command -v sudo >/dev/null; then sudo=sudo; \
	else echo "The browser tests need $(CHROMIUM): as root, run apt-get install chromium." >&2; exit 1; fi; \
	echo "apt-get install -y chromium"; \
	$$sudo apt-get update -qq && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && \
	if [ ! -x $(CHROMIUM) ]; then echo "The chromium package left no $(CHROMIUM)." >&2; exit 1; fi
