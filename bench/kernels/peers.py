"""Peers that need care: faiss in a throw-away environment of its own, and NumPy's matrix product on one thread."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENT = Path(__file__).parents[2] / ".bench-envs" / "faiss"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SEARCH = """
import json, statistics, sys, time
import faiss, numpy as np
kind, rows, depth, queries, k, seconds = sys.argv[1], *map(int, sys.argv[2:6]), float(sys.argv[6])
faiss.omp_set_num_threads(1)
rng = np.random.default_rng(0)
codes = rng.integers(-127, 128, (rows + queries, depth), dtype=np.int8).astype(np.float32)
index = (faiss.IndexFlatIP if kind == "ip" else faiss.IndexFlatL2)(depth)
index.add(codes[queries:])
asked, times, end = codes[:queries], [], time.perf_counter() + seconds
index.search(asked, k)
while time.perf_counter() < end or len(times) < 5:
    begin = time.perf_counter()
    index.search(asked, k)
    times.append((time.perf_counter() - begin) * 1e6)
print(json.dumps([statistics.median(times), faiss.__version__]))
"""


def faiss_us(kind: str, rows: int, depth: int, queries: int, k: int, seconds: float) -> tuple[float | None, str]:
    """Median us of a flat search (`ip` or `l2`), float32, one thread, in a process of its own; or None and why not."""
    python = ENVIRONMENT / "bin" / "python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True, capture_output=True, timeout=120)
        have = subprocess.run([python, "-c", "import faiss"], capture_output=True, check=False, timeout=60)
        if have.returncode:
            subprocess.run([python, "-m", "pip", "install", "--quiet", "faiss-cpu", "numpy"], check=True,
                           capture_output=True, timeout=300)
        words = [kind, rows, depth, queries, k, seconds]
        done = subprocess.run([python, "-c", SEARCH, *map(str, words)], check=True, capture_output=True, text=True,
                              timeout=120, env=os.environ | ONE_THREAD)
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"faiss-cpu could not be had in {ENVIRONMENT.name}: {type(error).__name__}"
    median, version = json.loads(done.stdout)
    return median, f"faiss {version}, one thread, a process of its own in the same minute"


@contextmanager
def one_thread() -> Iterator[bool]:
    """Every OpenBLAS of this process (NumPy's, OpenCV's) on one thread inside; gives False where none could be switched."""
    switched = [found for path in sorted(_libraries()) if (found := _switch(ctypes.CDLL(path))) is not None]
    before = [count() for _, count in switched]
    for switch, _ in switched:
        switch(1)
    try:
        yield bool(switched)
    finally:
        for (switch, _), threads in zip(switched, before, strict=True):
            switch(threads)


def _libraries() -> set[str]:
    return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "openblas" in line}


def _switch(library: ctypes.CDLL) -> tuple[Callable[[int], object], Callable[[], int]] | None:
    """What sets and tells the threads of an OpenBLAS, under whichever name it was built."""
    for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("", ""), ("scipy_", "")):
        switch = getattr(library, f"{prefix}openblas_set_num_threads{suffix}", None)
        count = getattr(library, f"{prefix}openblas_get_num_threads{suffix}", None)
        if switch is not None and count is not None:
            return switch, count
    return None
