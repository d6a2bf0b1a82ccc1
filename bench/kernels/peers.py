"""Peers that need care: faiss and torch in throw-away environments, and NumPy's matrix product on one thread."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[2] / ".bench-envs"
ENVIRONMENT = ENVIRONMENTS / "faiss"
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
    busy, begin = time.process_time(), time.perf_counter()
    index.search(asked, k)
    times.append(min(time.perf_counter() - begin, time.process_time() - busy) * 1e6)
print(json.dumps([statistics.median(times), faiss.__version__]))
"""


RESIZE = """
import json, statistics, sys, time
import numpy as np, torch
from torch.nn.functional import interpolate
height, width, high, wide, seconds = *map(int, sys.argv[1:5]), float(sys.argv[5])
torch.set_num_threads(1)
image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
mean, std = (torch.tensor(v).view(1, 3, 1, 1) * 255 for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
gain, shift, times = 1 / std, -mean / std, []
def call():
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    small = interpolate(planes, (high, wide), mode="bilinear", align_corners=False)
    return torch.addcmul(shift, small.flip(1).contiguous().float(), gain)
with torch.inference_mode():
    call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        busy, begin = time.process_time(), time.perf_counter()
        call()
        times.append(min(time.perf_counter() - begin, time.process_time() - busy) * 1e6)
print(json.dumps([statistics.median(times), torch.__version__]))
"""


def torch_us(size: tuple[int, int], wanted: tuple[int, int], seconds: float) -> tuple[float | None, str]:
    """Median us of torch's uint8 resize of (height, width), RGB and normalised, one thread; or None and why not.

    Its environment is not made here: the usual wheel for Linux brings gigabytes of CUDA.
    """
    python = ENVIRONMENTS / "torch" / "bin" / "python"
    if not python.exists():
        return None, f"no torch in {ENVIRONMENTS.name}/torch; make that environment and install a CPU build of it to compare"
    try:
        return _measured(python, RESIZE, [*size, *wanted, seconds], "torch")
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"torch in {ENVIRONMENTS.name}/torch did not run: {type(error).__name__}"


def _measured(python: Path, script: str, words: Sequence[object], name: str) -> tuple[float, str]:
    """What `script` prints as JSON, a median and a version, when `python` runs it alone on one thread."""
    done = subprocess.run([python, "-c", script, *map(str, words)], check=True, capture_output=True, text=True, timeout=120,
                          env=os.environ | ONE_THREAD)
    median, version = json.loads(done.stdout)
    return median, f"{name} {version}, one thread, a process of its own in the same minute"


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
        return _measured(python, SEARCH, [kind, rows, depth, queries, k, seconds], "faiss")
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"faiss-cpu could not be had in {ENVIRONMENT.name}: {type(error).__name__}"


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
