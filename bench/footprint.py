"""What the server costs before it does anything: memory, cold start, installed size."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from ..models.make.onnx_models import identity
from .report import Options, Row
from .servers import aisle, echo

# What the default install brings (`pip install aisle[cpu]`), as import or distribution folders.
DEFAULT = ("numpy", "aiohttp", "uvloop", "opencv-python-headless", "orjson", "prometheus-client", "tqdm", "onnxruntime")


def memory_mb(pid: int, kind: str) -> float:
    """Memory of a process and its children in MiB; Pss divides what other processes share, Rss counts it in full."""
    total = 0
    for folder in (pid, *children(pid)):
        path = Path(f"/proc/{folder}/smaps_rollup")
        total += next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(kind + ":"))
    return total / 1024


def pss_mb(pid: int) -> float:
    """Proportional set size of a process and its children, in MiB."""
    return memory_mb(pid, "Pss")


def children(pid: int) -> list[int]:
    """Direct children."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def run(options: Options) -> Iterable[Row]:
    """Idle memory without models, cold start with one, installed size."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with aisle(root) as ours, echo() as peer:
            time.sleep(1.0)
            mine, theirs = pss_mb(ours.pid), pss_mb(peer.pid)
            most = memory_mb(ours.pid, "Rss")
        yield Row("idle, no models", "PSS", mine, "MiB", None, "aiohttp + uvloop echo", theirs, mine / theirs,
                  "under 120 MiB", mine < 120,
                  note=f"{most:.0f} MiB with every library counted in full, as if no other process had them open")
        (root / "identity" / "1").mkdir(parents=True)
        identity(root / "identity" / "1" / "model.onnx", (16,), "float32")
        times = []
        for _ in range(2 if options.quick else 5):
            with aisle(root) as ours:
                times.append(ours.ready_s)
        yield Row("cold start, one ONNX model", "to ready", statistics.median(times), "s", statistics.pstdev(times),
                  goal="under 2 s", met=statistics.median(times) < 2,
                  note=f"first start, whose file was not verified before: {times[0]:.2f} s")
    size = installed_mb()
    yield Row("installed size, default environment", "size", size, "MiB", goal="under 500 MiB", met=size < 500,
              note="default dependencies and what they pull in, counted file by file in this environment")


def installed_mb() -> float:
    """Size of the default dependencies with everything they require, in MiB."""
    from importlib.metadata import PackageNotFoundError, distribution
    todo, seen, total = list(DEFAULT), set(), 0
    while todo:
        name = todo.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.metadata["Name"].lower() in seen:
            continue
        seen.add(found.metadata["Name"].lower())
        total += sum(p.stat().st_size for f in found.files or () if (p := Path(str(found.locate_file(f)))).is_file())
        for need in found.requires or ():
            if "extra ==" not in need:
                todo.append(need.split(";")[0].split("[")[0].strip(" <>=!~0123456789.,*()"))
    root = Path(__file__).parent.parent
    ours = [p for top in ("kernels", "models", "edge_devices", "runtime") for p in (root / top).rglob("*")]
    total += sum(p.stat().st_size for p in ours if p.is_file() and "__pycache__" not in p.parts)
    return total / (1 << 20)
