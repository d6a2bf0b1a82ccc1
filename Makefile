# make setup | demo | test | lint | bench.   Each target does its own set-up.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PY := .venv/bin/python
ENGINE ?= cpu

.PHONY: FORCE setup demo test lint bench clean test-kernels sanitize check-aarch64 gpu-check check-tensorrt check-pycuda
setup: .venv/.ready

# Changes when AISLE_CUDA does, so that the CUDA kernels are built again then.
build/cuda-wish: FORCE
	@mkdir -p build; echo '$(AISLE_CUDA)' | cmp -s - $@ || echo '$(AISLE_CUDA)' > $@
FORCE:

.venv/.ready: pyproject.toml setup.py build/cuda-wish $(wildcard kernels/*/fast.pyx kernels/*/*.h kernels/*/*.cu kernels/*.h)
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

# The kernels once more with AddressSanitizer and UndefinedBehaviorSanitizer, in a throw-away copy of the tree. At -O1:
# what is compiled takes half the time, and nothing is optimised away before it is looked at. Two planted faults come first.
SANITIZED := build/sanitize/aisle
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g1
sanitize: setup
	rm -rf $(SANITIZED) && mkdir -p $(SANITIZED)
	tar -cf - --exclude='*.so' --exclude=__pycache__ __init__.py py.typed setup.py pyproject.toml README.md kernels bench \
		models/make models/*.py tests/kernels | tar -xf - -C $(SANITIZED)
	sed -i 's/"-O3"/"-O1"/' $(SANITIZED)/setup.py
	cd $(SANITIZED) && CFLAGS="$(SANITIZE)" LDFLAGS="$(SANITIZE)" $(CURDIR)/$(PY) setup.py -q build_ext --inplace -j 2
	cd $(SANITIZED) && export PYTHONPATH=$(CURDIR)/build/sanitize PYTHONDONTWRITEBYTECODE=1 \
		ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
		LD_PRELOAD="$$($${CXX:-g++} -print-file-name=libasan.so) $$($${CXX:-g++} -print-file-name=libubsan.so)" && \
		$(CURDIR)/$(PY) -c 'import aisle; assert "/sanitize/" in aisle.__file__, aisle.__file__' && \
		$(CURDIR)/$(PY) tests/kernels/planted.py $(SANITIZE) && \
		$(CURDIR)/$(PY) -X faulthandler -m pytest -q -x --capture=sys -p no:cacheprovider tests/kernels
	rm -rf $(SANITIZED)

# The kernels cross-compiled for aarch64, their tests under qemu; where the tools are missing it says so and goes on.
check-aarch64: setup
	bash tests/kernels/aarch64.sh

# On a machine with an NVIDIA GPU (ENGINE=gpu): every CUDA kernel against its reference; writes docs/verified-on.md.
gpu-check: setup
	$(PY) setup.py -q build_ext --inplace
	$(PY) -m aisle.bench.gpu

# TensorRT without a GPU: our names against the bindings of three versions, real builds by TensorRT-RTX. Downloads 100 MB.
check-tensorrt: setup
	$(PY) -m pytest -q -rs tests/runtime/backends/check_tensorrt.py

# Without a GPU: builds pycuda from its source into build/pycuda (80 s of a core, once) and runs kernels/_cuda.py and every
# CUDA kernel through it, over a stand-in for libcuda that executes on the host.
check-pycuda: setup
	$(PY) tests/kernels/check_pycuda.py build/pycuda

lint: setup
	.venv/bin/ruff check .
	cd .venv/typing && ../bin/mypy --config-file $(CURDIR)/pyproject.toml aisle

bench: setup
	$(PY) -m aisle.bench overhead
	$(PY) -m aisle.bench footprint
	$(PY) -m aisle.bench kernels
	$(PY) -m aisle.bench inspection $(if $(wildcard ../shared/data),--data ../shared/data)

clean:
	rm -rf .venv build *.egg-info kernels/*/fast.cpp kernels/*/*.so kernels/*/*.fatbin kernels/*/*.fatbin.txt
