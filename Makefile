# make setup | demo | test | lint | bench.   Each target does its own set-up.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PY := .venv/bin/python
ENGINE ?= cpu

.PHONY: setup demo test lint bench clean test-kernels
setup: .venv/.ready

.venv/.ready: pyproject.toml setup.py $(wildcard kernels/*/fast.pyx kernels/*/*.h kernels/*.h)
	@test -n "$(PYTHON)" || { echo "Aisle needs Python 3.11 or newer; on Debian or Ubuntu: apt-get install python3"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Aisle needs Python's venv; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@command -v $${CXX:-c++} >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || { echo "Aisle needs a C++ compiler; on Debian or Ubuntu: apt-get install g++"; exit 1; }
	@echo '#include <Python.h>' | $${CXX:-g++} -x c++ -E $$($(PYTHON) -c 'import sysconfig; print("-I" + sysconfig.get_path("include"))') - >/dev/null 2>&1 || { echo "Aisle needs Python's headers; on Debian or Ubuntu: apt-get install python3-dev"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[$(ENGINE),dev]'
	@mkdir -p .venv/typing && ln -sfn $(CURDIR) .venv/typing/aisle
	@touch $@

demo: setup
	$(PY) -m aisle.runtime demo $(if $(ONCE),--once)

test: setup
	@bash tests/prepare.sh
	$(PY) -m pytest -q tests

test-kernels: setup
	$(PY) -m pytest -q tests/kernels

lint: setup
	.venv/bin/ruff check .
	cd .venv/typing && ../bin/mypy --config-file $(CURDIR)/pyproject.toml aisle

bench: setup
	$(PY) -m aisle.bench overhead
	$(PY) -m aisle.bench footprint
	$(PY) -m aisle.bench inspection $(if $(wildcard ../shared/data),--data ../shared/data)

clean:
	rm -rf .venv build *.egg-info kernels/*/fast.cpp kernels/*/*.so
