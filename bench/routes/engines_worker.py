"""Runs in the engines' environment: engines_worker.py FILE.osm.pbf FOLDER; questions and answers are JSON lines.

Each engine is prepared by its own tools with its own profile for cars, on one thread, and asked as its documentation shows.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

FILE, FOLDER = (Path(argument) for argument in sys.argv[1:3])
Way = Callable[[float, float, float, float], float]      # metres between two places; raises where there is no way


def osrm() -> Way:
    library = import_module("osrm")
    package = Path(library.__file__ or "").parent
    shutil.copy(FILE, FOLDER / "map.osm.pbf")
    for tool, *arguments in (("osrm-extract", "-p", str(package / "share" / "profiles" / "car.lua"), "-t", "1",
                              str(FOLDER / "map.osm.pbf")), ("osrm-contract", "-t", "1", str(FOLDER / "map.osrm"))):
        subprocess.run([str(package / "bin" / tool), *arguments], check=True, capture_output=True)
    engine = library.OSRM(storage_config=str(FOLDER / "map.osrm"), use_shared_memory=False, algorithm="CH")

    def way(a: float, b: float, c: float, d: float) -> float:
        asked = library.RouteParameters(coordinates=[(b, a), (d, c)], overview="full", geometries="polyline")
        return float(engine.Route(asked)["routes"][0]["distance"])
    return way


def valhalla() -> Way:
    library = import_module("valhalla")
    (FOLDER / "tiles").mkdir(exist_ok=True)
    settings = library.get_config(tile_extract="", tile_dir=str(FOLDER / "tiles"), verbose=False)
    settings["mjolnir"]["concurrency"] = 1
    path = FOLDER / "valhalla.json"
    path.write_text(json.dumps(settings))
    tool = Path(library.__file__ or "").parent / "bin" / "valhalla_build_tiles"
    subprocess.run([str(tool), "-c", str(path), str(FILE)], check=True, capture_output=True)
    actor = library.Actor(str(path))

    def way(a: float, b: float, c: float, d: float) -> float:
        asked = {"locations": [{"lat": a, "lon": b}, {"lat": c, "lon": d}], "costing": "auto"}
        return float(json.loads(actor.route(json.dumps(asked)))["trip"]["summary"]["length"]) * 1000
    return way


ENGINES: dict[str, Callable[[], Way]] = {"OSRM": osrm, "Valhalla": valhalla}
MADE: dict[str, tuple[Way, float]] = {}


def spent() -> float:
    """CPU seconds of this process and those it waited for."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def timed(peer: str, places: list[list[float]]) -> dict[str, Any]:
    """Times in microseconds, and metres (None without a way)."""
    if peer not in MADE:
        begin = spent()
        MADE[peer] = ENGINES[peer](), spent() - begin
    ask, prepared = MADE[peer]
    times, metres = [], list[float | None]()
    for place in places:
        start = time.perf_counter()
        try:
            metres.append(ask(*place))
        except Exception:  # noqa: BLE001 - each engine has errors of its own for "no way"
            metres.append(None)
        times.append((time.perf_counter() - start) * 1e6)
    return {"times": times, "metres": metres, "prepared": prepared}


for line in sys.stdin:
    question = json.loads(line)
    try:
        reply = {"timed": timed}[question.pop("do")](**question)
    except Exception as error:  # noqa: BLE001 - whatever an engine does wrong becomes its answer
        reply = {"error": f"{type(error).__name__}: {error}"[:300]}
    print(json.dumps(reply), flush=True)
