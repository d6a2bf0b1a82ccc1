#!/usr/bin/env bash
# Fetches what some tests need beyond Python: a browser and a stock load generator. Called by `make test`; quick when
# everything is there. Whatever cannot be had is said in one sentence, its tests skip, and the run goes on.
cd "$(dirname "$0")/.." || exit 0

PIP=.venv/bin/pip
TOOL=.venv/perf_analyzer          # the binary and the one library that it needs beside Debian's own
CLIENT=tritonclient==2.48.0       # the last release whose wheel carries the binary
RUNTIME=nvidia-cuda-runtime-cu12==12.4.127

skip() { echo "prepare: $*"; }

# install WHAT PACKAGE...: Debian packages, or one sentence why not.
install() {
    local what=$1; shift
    command -v apt-get >/dev/null || { skip "tests of $what are skipped: this system has no apt-get; install it by hand"; return 1; }
    [ "$(id -u)" = 0 ] || { skip "tests of $what are skipped: as root, run apt-get install $*"; return 1; }
    [ -n "$updated" ] || { apt-get -qq update >/dev/null 2>&1; updated=1; }
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    skip "tests of $what are skipped: apt-get could not install $*"
    return 1
}

browser() {
    local found=""
    for name in chromium chromium-browser google-chrome; do command -v $name >/dev/null && found=1; done
    [ -n "$found" ] && command -v chromedriver >/dev/null || install "the pages in a browser" chromium chromium-driver
}

# Why perf_analyzer is not here goes into $TOOL/missing, for the tests to repeat.
without() {
    mkdir -p $TOOL
    skip "tests with perf_analyzer are skipped: $*"
    echo "$*" > $TOOL/missing
}

# wheel NAME==VERSION MEMBER TARGET: one file out of a wheel.
wheel() {
    rm -rf $TOOL/wheels
    $PIP download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d $TOOL/wheels "$1" >/dev/null 2>&1 \
        && .venv/bin/python - "$2" "$3" $TOOL/wheels/*.whl <<'PY'
import os, pathlib, sys, zipfile
member, target, wheel = sys.argv[1:]
with zipfile.ZipFile(wheel) as file:
    name = next(n for n in file.namelist() if n.endswith(member))
    part = pathlib.Path(target + ".part")
    part.write_bytes(file.read(name))
part.chmod(0o755)
os.replace(part, target)
PY
    local result=$?
    rm -rf $TOOL/wheels
    return $result
}

load_generator() {
    [ "$(uname -m)" = x86_64 ] || { without "its binary exists for x86-64 only"; return; }
    [ -x $PIP ] || { without "there is no .venv yet; run make setup"; return; }
    mkdir -p $TOOL
    [ -x $TOOL/perf_analyzer ] || wheel $CLIENT data/bin/perf_analyzer $TOOL/perf_analyzer \
        || { without "pip could not download $CLIENT"; return; }
    [ -e $TOOL/libcudart.so.12 ] || wheel $RUNTIME lib/libcudart.so.12 $TOOL/libcudart.so.12 \
        || { without "pip could not download $RUNTIME"; return; }
    ldconfig -p 2>/dev/null | grep -q 'libb64\.so\.0' || install perf_analyzer libb64-0d || { without "it needs the library libb64-0d"; return; }
    LD_LIBRARY_PATH=$TOOL $TOOL/perf_analyzer --version >/dev/null 2>&1 || { without "it does not start on this system"; return; }
    rm -f $TOOL/missing
}

updated=""
browser
load_generator
exit 0
