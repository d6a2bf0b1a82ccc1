"""Published instances of tours with their best known costs, out of the archive of the data folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from ...models.route.tour_problem import FOREVER, Problem, Robot, Stop

WANTED = ("CVRP/X-n106-k14", "CVRP/X-n256-k16", "VRPTW/R1_10_1", "CVRP/X-n1001-k43")


@dataclass(frozen=True)
class Instance:
    """One instance; `best` in the unit of the matrix (whole for CVRP, tenths for VRPTW, cut off as DIMACS does)."""

    name: str
    problem: Problem
    best: int


def instances(data: Path, quick: bool) -> list[Instance]:
    """Those of WANTED that there are, or as many others of the same kinds; the first alone for a quick run."""
    paths = sorted((data / "routes").glob("vrp_instances*.zip"))
    if not paths:
        return []
    with ZipFile(paths[0]) as archive:
        names = sorted(n.removesuffix(".vrp") for n in archive.namelist() if re.match(r"(CVRP|VRPTW)/.*\.vrp$", n))
        chosen = [n for n in WANTED if n in names]
        for kind in ("CVRP", "VRPTW"):
            if not any(n.startswith(kind) for n in chosen):
                chosen += [n for n in names if n.startswith(kind)][:1]
        return [read(n, archive.read(f"{n}.vrp").decode(), archive.read(f"{n}.sol").decode())
                for n in chosen[:1 if quick else None]]


def read(name: str, text: str, solution: str) -> Instance:
    """An instance in VRPLIB's format."""
    text = text.replace("\r", "")
    head = dict(re.findall(r"^(\w+)[ \t]*:[ \t]*(.*?)[ \t]*$", text, re.M))
    places = rows(text, "NODE_COORD_SECTION")[:, 1:]
    demand = rows(text, "DEMAND_SECTION")[:, 1].astype(int)
    far = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    windows = rows(text, "TIME_WINDOW_SECTION")
    scale = 10 if len(windows) else 1
    matrix = np.floor(far * 10).astype(np.int64) if len(windows) else np.floor(far + 0.5).astype(np.int64)
    service = int(float(head.get("SERVICE_TIME", 0)) * scale)
    times = (windows[:, 1:] * scale).astype(int) if len(windows) else np.tile([0, FOREVER], (len(places), 1))
    stops = tuple(Stop(str(i), i, int(times[i, 0]), int(times[i, 1]), service, (int(demand[i]),))
                  for i in range(1, len(places)))
    robots = int(head.get("VEHICLES", len(stops)))
    fleet = tuple(Robot(f"r{i}", 0, capacity=(int(head["CAPACITY"]),), late=int(times[0, 1])) for i in range(robots))
    found = re.search(r"Cost[ :]*([\d.]+)", solution)
    assert found is not None, f"{name} states no cost"
    return Instance(name, Problem(matrix, matrix if len(windows) else np.zeros_like(matrix), stops, fleet),
                    round(float(found[1]) * scale))


def rows(text: str, section: str) -> np.ndarray:
    """The numbers of a section, one row a line; none where it is not there."""
    found = re.search(rf"{section}[ \t]*\n((?:[\s\d.eE+-]*\n)*)", text)
    lines = [line.split() for line in found[1].splitlines() if line.strip()] if found else []
    width = len(lines[0]) if lines else 0
    return np.array([line for line in lines if len(line) == width], np.float64)
