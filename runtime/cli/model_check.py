"""`aisle model check`: every variant of a bundle on this machine: does it open, answer its canary, how fast, how large."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle model check`."""
    parser.add_argument("bundle", type=Path, help="a bundle's folder, or a model's folder (its newest version is meant)")
    parser.add_argument("--device", default="auto", help="device profile (default: the one that fits this machine)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], metavar="N", help="rows of a run (default: 1)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="how long each is run (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep what was measured in the bundle's table of variants")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")


def run(args: argparse.Namespace) -> int:
    """0 where every usable way works, 1 where one does not, 2 with a sentence for a bundle that cannot be checked."""
    from ...models.bundle import BundleError
    from ..errors import AisleError
    from .outcome import refuse
    try:
        told = check(args)
    except (AisleError, BundleError, ValueError) as error:
        return refuse("model check", args.json, str(error))
    except OSError as error:
        doing = "what was measured cannot be kept" if args.keep else "the bundle cannot be read"
        return refuse("model check", args.json, f"{error.filename or args.bundle}: {error.strerror or error}; {doing}")
    print(json.dumps(told) if args.json else plain(told))
    return 1 if any(row["error"] for row in told["rows"]) else 0


def check(args: argparse.Namespace) -> dict[str, Any]:
    """Measure every way in a process of its own."""
    from ...models.bundle import verify
    from ...models.bundle_file import write_bundle_toml
    from ..backends.tensors import free_note
    from ..choice import choose
    from ..config import Config, DeviceConfig
    from ..device import choose_device
    from ..engine_wish import as_served
    from ..quantizing import find_bundle
    from ..variant_check import check as measure_all
    from ..ways import usable
    from .teach import Bar
    if min(args.batch) < 1 or not 0 < args.seconds <= 600:
        raise ValueError(f"expected --batch of 1 or more and --seconds above 0 up to 600, got {args.batch} and "
                         f"{args.seconds:g}")
    bundle, _ = find_bundle(args.bundle)
    verify(bundle)
    if not bundle.files:
        raise ValueError(f"bundle '{bundle.name}' has no model files: there is nothing to run by an engine")
    device, _ = choose_device(replace(Config(), device=DeviceConfig(profile=args.device)))
    shared = busy(os.getloadavg()[0], len(os.sched_getaffinity(0)))
    with Bar() as bar:
        rows, missing = measure_all(bundle, device, args.batch, args.seconds, None if args.json else bar.show)
    if not rows:
        raise ValueError(f"--batch {' '.join(map(str, args.batch))}: no run of '{bundle.name}' takes so many rows; name fewer")
    known = measured(bundle, rows)
    if args.keep:
        write_bundle_toml(known, known.root)
    works = {row["way"] for row in rows if not row["error"]}
    known = as_served(known, device)
    found = [way for way in usable(known, device)[0] if way.name in works]
    choice = choose(found, known, device) if found else None
    return {"name": bundle.name, "version": bundle.version, "device": device.name, "rows": rows, "missing": missing,
            "note": free_note(described(known, found[0])) if found else "", "kept": args.keep, "busy": shared,
            "choice": {"variant": choice.ways[0].name, "why": choice.why} if choice else None}


def busy(load: float, cores: int) -> str:
    """A sentence where other work ran when measuring began: it ranks variants by chance. "" on a quiet machine."""
    if load <= cores / 2:
        return ""
    return (f"other work was under way when this began (load {load:.1f} on {cores} cores), and it disturbs one variant more "
            "than another; measure again on a quiet machine before you --keep it")


def described(bundle: Any, way: Any) -> Any:
    """The bundle as its file has it."""
    from ..backends import make_backend
    from ..ways import narrowed
    return make_backend(way.backend).describe(narrowed(bundle, way))


def measured(bundle: Any, rows: list[dict[str, Any]]) -> Any:
    """The bundle with what was measured with one row in its table of variants."""
    from ...models.bundle import Variant
    from ..choice import this_machine
    table = {(v.backend, v.precision): v for v in bundle.variants}
    for row in rows:
        backend, precision = row["way"].split(" ", 1)
        if row["batch"] == 1 and not row["error"]:
            table[backend, precision] = replace(
                table.get((backend, precision), Variant(backend, precision)), on=this_machine(), p50_ms=round(row["p50_ms"], 4),
                p99_ms=round(row["p99_ms"], 4), memory_mb=round(max(0.0, row["memory_mb"]), 1))
    return replace(bundle, variants=tuple(table.values()))


def plain(told: dict[str, Any]) -> str:
    """The result as a table."""
    lines = [f"'{told['name']}' version {told['version']} on device '{told['device']}':",
             f"{'variant':<16} {'batch':>5} {'p50 ms':>9} {'p99 ms':>9} {'rows/s':>9} {'MiB':>7} {'error':>8} {'agrees':>7}  "
             "canary"]
    for row in told["rows"]:
        if row["error"]:
            lines.append(f"{row['way']:<16} {row['batch']:>5} does not work: {row['error']}")
            continue
        error = "-" if row["max_error"] is None else f"{row['max_error']:.2%}"
        agrees = "-" if row["agreement"] is None else f"{row['agreement']:.1%}"
        speed = f"{row['p50_ms']:>9.3f} {row['p99_ms']:>9.3f} {row['rows_per_s']:>9.1f}"
        lines.append(f"{row['way']:<16} {row['batch']:>5} {speed} {row['memory_mb']:>7.1f} {error:>8} {agrees:>7}  "
                     f"{row['canary']}")
    lines.append("error: the largest difference from FP32 as a share of the output's span, on made inputs; agrees: verdicts "
                 "that are FP32's on held-out pictures, as `aisle model quantize` saw them")
    lines += [told["busy"][:1].upper() + told["busy"][1:]] if told["busy"] else []
    lines += [f"{backend} is not used: {why}" for backend, why in told["missing"].items()]
    lines += [f"'{told['name']}': {told['note']}"] if told["note"] else []
    if told["choice"] and len(told["rows"]) > 1:
        when = "A server answers by" if told["kept"] else "With --keep a server would answer by"
        lines.append(f"{when} {told['choice']['variant']}: {told['choice']['why']}")
    return "\n".join(lines)
