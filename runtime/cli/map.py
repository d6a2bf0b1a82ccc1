"""`aisle map`: build a map bundle from a file of streets, a floor or a list of edges, and ask it for a way."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from ..errors import Invalid
from .outcome import finish

NUMBER = re.compile(r"-?[0-9.]+(?:e-?[0-9]+)?")
ENDS = (".osm.pbf", ".osm.gz", ".osm.bz2", ".pbf", ".osm", ".map", ".yaml", ".yml", ".csv", ".toml")


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle map build` and `aisle map route`."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build_ = commands.add_parser("build", help="build a map from a file", description="Build a map bundle from a file: "
                                 "OpenStreetMap (.osm.pbf, .osm, .gz, .bz2), a MovingAI grid (.map), a ROS map.yaml, "
                                 "edges (.csv), or portals between maps (.toml).")
    build_.add_argument("file", type=Path, help="the file to read")
    build_.add_argument("--profile", default="sidewalk-robot", metavar="P",
                        help="vehicle: sidewalk-robot, cargo-bike, van, or a TOML file (default: %(default)s)")
    build_.add_argument("--name", help="the map's name (default: the file's)")
    route_ = commands.add_parser("route", help="ask a map for a way", description="Ask a map for the way between two places.")
    route_.add_argument("name", help="the map's name")
    route_.add_argument("start", help="LAT,LON (on a floor Y,X in metres), or the number of a node; on a site MAP:LAT,LON")
    route_.add_argument("goal", help="likewise")
    route_.add_argument("--geometry", choices=("geojson", "polyline", "none"), default="none", help="tell the line, too")
    for one in (build_, route_):
        one.add_argument("--models", type=Path, default=Path("maps"), metavar="DIR",
                         help="folder of models (default: %(default)s)")
        one.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 2 with a sentence where it could not be."""
    work = build if args.action == "build" else route
    return finish(f"map {args.action}", args, lambda: work(args), args.models)


# ---- building

def build(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Read the file, write the next version of the bundle whole or not at all; what was made and what was dropped."""
    from ...models.route.build import build_map, save_map
    from ..versions import next_version
    name = args.name or stem(args.file)
    version = next_version(args.models, name, "map")
    if not args.file.is_file():
        raise Invalid(f"{args.file} is no file; name an extract of streets, a grid, a map.yaml or a list of edges")
    start = perf_counter()
    with Bar(args.json, f"read {args.file.name}") as bar:
        made = build_map(args.file, args.profile, bar.show)
    built_s = perf_counter() - start
    target = args.models / name / version
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
    try:
        save_map(made, part, name, version)
        part.chmod(0o755)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    told = {"name": name, "version": version, "path": str(target), "seconds": round(built_s, 3),
            "mb": round(sum(p.stat().st_size for p in target.iterdir()) / 1e6, 2), "report": plain(made.report)}
    return told, build_text(told, args)


def stem(file: Path) -> str:
    """The file's name without its ends, as a map's name."""
    name = file.parent.name if file.name in ("map.yaml", "map.yml") else file.name
    for end in ENDS:
        name = name.removesuffix(end)
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name).lstrip(".-") or "map"


class Bar:
    """A progress bar on standard error; none where JSON is printed."""

    def __init__(self, quiet: bool, text: str) -> None:
        from tqdm import tqdm
        self._bar: Any = tqdm(total=100, desc=text, leave=False, file=sys.stderr, disable=quiet,
                              bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}")

    def __enter__(self) -> Bar:
        return self

    def show(self, part: float) -> None:
        """The part that is done, 0 to 1."""
        self._bar.update(100 * part - self._bar.n)

    def __exit__(self, *problem: object) -> None:
        self._bar.close()


def plain(value: Any) -> Any:
    """Plain data for JSON."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value


def build_text(told: dict[str, Any], args: argparse.Namespace) -> str:
    """The report in words."""
    lines = [f"Map '{told['name']}' version {told['version']} lies in {told['path']} ({told['mb']} MB, built in "
             f"{told['seconds']:.1f} s for {args.profile})."]
    for key, value in told["report"].items():
        if isinstance(value, dict):
            lines += [f"{key}:"] if value else []
            lines += [f"  {count:>9}  {why}" for why, count in sorted(value.items(), key=lambda item: -weight(item[1]))]
        elif not isinstance(value, list):
            lines.append(f"{key}: {value}")
    return "\n".join([*lines, f"Serve it: aisle serve --models {args.models}"])


def weight(value: Any) -> float:
    """A number to sort by."""
    return float(value) if isinstance(value, (int, float)) else 0.0


# ---- asking

def route(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The way between two places, in this process; changes that a server keeps do not count here."""
    from ...models.route.site import Site
    from ..codec.route import answer
    from ..workloads import route as workload
    from ..workloads.route_asks import AskRoute
    from ..workloads.route_site import AskAcross, joined
    asset = opened(args, args.name)
    (source_map, source), (target_map, target) = on_map(args.start, "start"), on_map(args.goal, "goal")
    ask = AskRoute(source, target, shape=args.geometry, guide=True)
    if isinstance(asset, Site):
        maps = joined(asset, lambda name: opened(args, name))
        told = answer(workload.work_across(workload.Request((AskAcross(source_map, target_map, ask),)), maps))
        return told, "\n".join([f"{told['cost_s']:.0f} s in all, by {', '.join(told['portals']) or 'no portal'}",
                                *(f"{leg['map']}: {route_text(leg)}" for leg in told["legs"])])
    if source_map or target_map:
        raise Invalid(f"{args.name!r} is one map; give places without a map's name before them")
    told = answer(workload.work(workload.Request((ask,)), asset))
    return told, route_text(told)


def opened(args: argparse.Namespace, name: str) -> Any:
    """The newest version of a map or site, ready to be asked."""
    from ...models.bundle import BundleError
    from ...models.bundle_file import read_bundle
    from ..workloads import route as workload
    folder = args.models / name
    versions = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name)) if folder.is_dir() else []
    if not versions:
        raise Invalid(f"there is no map {name!r} in {args.models}; build one: aisle map build FILE --name {name} "
                      f"--models {args.models}")
    bundle = read_bundle(versions[-1])
    if bundle.role != "map":
        raise BundleError(f"{versions[-1]} is a bundle with role {bundle.role!r}, not a map")
    return workload.load(bundle)


def on_map(text: str, name: str) -> tuple[str, int | tuple[float, float]]:
    """(map, place) of MAP:LAT,LON; without a map it is ""."""
    map_, colon, rest = text.rpartition(":")
    return map_, where(rest if colon else text, name)


def where(text: str, name: str) -> int | tuple[float, float]:
    """A place on the command line."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) == 1 and parts[0].isascii() and parts[0].isdigit():
        return int(parts[0])
    if len(parts) != 2 or not all(NUMBER.fullmatch(part) or part.lower() == "nan" for part in parts):
        raise Invalid(f"{name} {text!r}: expected LAT,LON such as 43.7312,7.4203, or the number of a node")
    return float(parts[0]), float(parts[1])


def route_text(told: dict[str, Any]) -> str:
    """The way in words."""
    minutes, seconds = divmod(round(told["cost_s"]), 60)
    lines = [f"{told['length_m']:.0f} m, {minutes} min {seconds:02} s"]
    for step in told.get("instructions", ()):
        lines.append(f"  {step['code']:13} {step['length_m']:7.0f} m  {step['name'] or step['kind']}")
    for key in ("polyline", "geometry"):
        if key in told:
            lines.append(told[key] if key == "polyline" else json.dumps(told[key]))
    return "\n".join(lines)
