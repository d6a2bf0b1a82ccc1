"""Whole routing engines on the largest OSM extract: OSRM and Valhalla in process, in a Python that their wheels are for."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ...models.route import guide
from ...models.route.build import build_map
from ...models.route.network import Network
from ...models.route.router import Router
from ...runtime.codec.route_lines import polyline
from ..report import Options, Row
from .peers import INSTALL_S, ROOT, Peers

FOLDER = ROOT / ".bench-envs" / "engines"
PACKAGES = ("osrm-bindings", "pyvalhalla")
LEAST = (3, 12)                                   # the wheel of osrm-bindings is for this Python and later ones
NAMES = {"OSRM": "contraction hierarchy; full polyline, no instructions", "Valhalla": "its JSON has instructions, too"}
DIGITS = 5


def run(options: Options) -> Iterator[Row]:
    """Places to way with its line, as a caller has them: one row an engine, and what preparing took."""
    folder = (options.data or Path("nowhere")) / "routes" / "osm"
    files = sorted(folder.glob("*.osm.pbf"), key=lambda path: -path.stat().st_size)
    missing = prepare(options.quick) if files else "no *.osm.pbf in the data folder"
    if missing:
        yield Row("engines", "places to way p50", None, "us", peer="OSRM, Valhalla", note=missing)
        return
    begin = time.thread_time()
    network = build_map(files[0], "van")
    assert isinstance(network, Network)
    built, router = time.thread_time() - begin, Router(network)
    places = drawn(network, 100 if options.quick else 400)
    with engines(files[0]) as peers:
        begin = time.perf_counter()
        router.ways(places)
        each = (time.perf_counter() - begin) * 1e6 / len(places)
        yield Row(f"engines {files[0].name}", "places to edges, a way", each, "us", note=f"{len(places)} in one call, no lines")
        for name, kind in NAMES.items():
            yield from compare(f"engines {files[0].name}", router, places, name, kind, built, peers)


def compare(case: str, router: Router, places: np.ndarray, name: str, kind: str, built: float, peers: Peers) -> Iterator[Row]:
    """Rounds of ours and theirs in turn."""
    own, theirs, near, told = list[float](), list[float](), list[bool](), {}
    for part in np.array_split(places, 4):
        mine, metres = timed(router, part)
        told = peers.ask(do="timed", peer=name, places=part.tolist())
        own += mine
        theirs += told.get("times", [])
        near += [b is not None and abs(a - b) <= 0.02 * max(a, b) for a, b in zip(metres, told.get("metres", []), strict=False)]
    p50, peer50 = statistics.median(own), statistics.median(theirs) if theirs else None
    yield Row(case, "places to way p50", p50, "us", spread=float(np.percentile(own, 99)), peer=name, peer_value=peer50,
              ratio=peer50 / p50 if peer50 else None,
              note=told.get("error") or f"{kind}; spread is p99; {100 * float(np.mean(near)):.0f} % of the ways are as long as "
                                        "ours within 2 % (its own speeds and rules)")
    prepared = told.get("prepared")
    yield Row(case, "file to first answer", built, "s", peer=name, peer_value=prepared,
              ratio=prepared / built if prepared else None, note=told.get("error") or "CPU time of all its processes")


def timed(router: Router, places: np.ndarray) -> tuple[list[float], list[float]]:
    """Microseconds and metres of ways between places (lat, lon, lat, lon), their lines encoded."""
    times, metres = [], []
    for a, b, c, d in places.tolist():
        begin = time.perf_counter()
        source, target = router.nearest(a, b), router.nearest(c, d)
        assert source is not None and target is not None
        way = router.route(source, target)
        if way is not None:
            polyline(guide.line(router.network, way), DIGITS)
        times.append((time.perf_counter() - begin) * 1e6)
        metres.append(way.length_m if way is not None else 0.0)
    return times, metres


def drawn(network: Network, count: int) -> np.ndarray:
    """Pairs of places within 20 m of nodes drawn at random."""
    rng = np.random.default_rng(17)
    node = rng.integers(0, network.nodes, (count, 2))
    at = np.stack([network.arrays["node_y"][node], network.arrays["node_x"][node]], 2).reshape(count, 4)
    return np.asarray(at + rng.uniform(-1e-4, 1e-4, at.shape))


# ---- the engines' environment

def prepare(quick: bool) -> str:
    """"" once the environment is there, else the reason why it is not. A quick run makes none."""
    if (FOLDER / ".ready").is_file():
        return ""
    if quick:
        return "no environment for engines yet; a run without --quick makes it"
    python = newer()
    if python is None:
        return f"no Python {LEAST[0]}.{LEAST[1]} or later here, which the wheel of osrm-bindings is for"
    try:
        for command in ([python, "-m", "venv", str(FOLDER)],
                        [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "-q", *PACKAGES]):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        return f"OSRM and Valhalla could not be installed here ({type(error).__name__})"
    (FOLDER / ".ready").touch()
    return ""


def newer() -> str | None:
    """A Python that is new enough: this one, one on the path, or one of pyenv's."""
    names = [f"python{LEAST[0]}.{minor}" for minor in range(LEAST[1], LEAST[1] + 4)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*filter(None, map(shutil.which, names)), *(str(p) for name in names for p in sorted(pyenv.glob(f"*/bin/{name}")))]
    for python in [sys.executable] * (sys.version_info[:2] >= LEAST) + found:
        if subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0:
            return python
    return None


@contextmanager
def engines(file: Path) -> Iterator[Peers]:
    """The worker over one extract."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(FOLDER / "bin" / "python"), str(Path(__file__).parent / "engines_worker.py"), str(file), folder]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            yield Peers(process)
        finally:
            process.kill()
            process.wait()
