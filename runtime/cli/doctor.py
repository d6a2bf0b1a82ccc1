"""`aisle doctor`: what this machine is, what works, what does not and why."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from typing import Any

PACKAGES = ("numpy", "aiohttp", "uvloop", "opencv-python-headless", "opencv-python", "orjson", "prometheus-client",
            "onnxruntime", "onnxruntime-gpu", "tensorrt", "pycuda")


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle doctor`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def installed() -> dict[str, str]:
    """Version of every package that matters and is there."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def examine() -> dict[str, Any]:
    """Machine, packages, backends, kernels and problems, as plain data."""
    from dataclasses import asdict

    from ... import __version__, kernels
    from ...edge_devices.probe import probe
    from ..backends import BACKENDS, make_backend
    packages = installed()
    problems = []
    if "onnxruntime" in packages and "onnxruntime-gpu" in packages:
        problems.append("onnxruntime and onnxruntime-gpu are both installed and overwrite each other: uninstall both, "
                        "then install one (pip install 'aisle[cpu]' or 'aisle[gpu]')")
    backends = {name: make_backend(name).missing() or "works" for name in BACKENDS}
    return {"aisle": __version__, "machine": asdict(probe()), "packages": packages, "backends": backends,
            "kernels": {name: f"{c.variant} ({c.level}): {c.reason}" for name, c in kernels.choices().items()},
            "kernels_cuda": kernels.cuda_missing() or "built, with pycuda to start them", "problems": problems}


def run(args: argparse.Namespace) -> int:
    """0 where everything needed works, 1 with problems."""
    found = examine()
    if args.json:
        print(json.dumps(found, indent=1))
        return 1 if found["problems"] else 0
    machine = found["machine"]
    print(f"Aisle {found['aisle']} on {machine['model'] or 'an unknown CPU'} ({machine['arch']}), {machine['cores']} "
          f"cores, {machine['memory_mb']} MiB; instruction sets: {' '.join(machine['flags']) or 'none of note'}")
    print(f"GPU driver: {machine['nvidia_driver'] or 'none found; everything runs on the CPU'}")
    for title in ("packages", "backends", "kernels"):
        print(f"{title}:")
        for name, text in found[title].items():
            print(f"  {name}: {text}")
    print(f"kernels on a GPU: {found['kernels_cuda']}")
    for problem in found["problems"]:
        print(f"PROBLEM: {problem}")
    return 1 if found["problems"] else 0
