"""`aisle doctor`: what this machine is, what works, what does not and why, in sentences."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "aiohttp", "uvloop", "opencv-python-headless", "opencv-python", "orjson", "prometheus-client",
            "onnxruntime", "onnxruntime-gpu", "openvino", "onnx", "tensorrt", "pycuda")
VNNI = ("avx512_vnni", "avx_vnni", "asimddp", "i8mm", "amx_int8")
BF16 = ("avx512_bf16", "amx_bf16", "bf16")


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle doctor`."""
    parser.add_argument("--device", default="auto", help="judge as this device profile (default: the one that fits)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="also say how each model of this folder would run")
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


def examine(profile: str = "auto", models: Path | None = None, root: Path = Path("/")) -> dict[str, Any]:
    """Machine, device, packages, backends, kernels, heat, memory, engines and problems, as plain data."""
    from dataclasses import asdict

    from ... import __version__, kernels
    from ...edge_devices.probe import probe
    from ..backends import BACKENDS, make_backend, onnx_engine
    from ..config import Config, DeviceConfig, build
    from ..device import bundles_in, choose_device, fits, needs
    machine = probe(root)
    device, said = choose_device(build({"device": {"profile": profile}}, {}, "command line"), root)
    config = Config(device=DeviceConfig(profile=device.name))
    good, memory = fits(needs(config, device, bundles_in(models) if models else []), device, machine)
    told, broken = runs(models, device) if models else ({}, [])
    problems = [*(text for text in (onnx_engine.both_installed(), None if good else memory) if text), *broken]
    backends = {name: make_backend(name).missing() or "works" for name in BACKENDS}
    lacking = [f"device '{device.name}' prefers {name}, which does not work here: {backends[name]}"
               for name in device.backends if backends.get(name, "works") != "works"]
    return {
        "aisle": __version__, "machine": asdict(machine), "device": asdict(device) | {"match": dict(device.match)},
        "device_notes": said + lacking, "packages": installed(), "backends": backends, "providers": providers(),
        "arithmetic": arithmetic(machine.flags), "threads": threads(device),
        "kernels": {name: f"{c.variant} ({c.level}): {c.reason}" for name, c in kernels.choices().items()},
        "kernels_cuda": kernels.cuda_missing() or "built, with pycuda to start them", "memory": memory,
        "heat": heat(device, root), "engines": engines(), "models": told,
        "problems": problems}


def providers() -> list[str]:
    """What the installed ONNX Runtime offers; whether a provider really starts is seen when a model is opened on it."""
    from ..backends import onnx_engine
    return list(onnx_engine.engine().get_available_providers()) if onnx_engine.missing() is None else []


def arithmetic(flags: list[str] | tuple[str, ...]) -> str:
    """What INT8 and bf16 bring on this CPU, by its instruction sets."""
    int8 = next((f for f in VNNI if f in flags), None)
    half = next((f for f in BF16 if f in flags), None)
    return (f"INT8 is fast here ({int8})" if int8 else "INT8 has no instructions of its own here and gains little") + (
        f"; bf16 too, by OpenVINO ({half})" if half else "; there is no bf16")


def threads(device: Any) -> str:
    """The budget of threads in words."""
    import os
    cores = len(os.sched_getaffinity(0))
    return (f"{device.threads} of the {cores} cores that this process may use go to the engines together; decoding and "
            f"features take up to {max(2, device.threads)}")


def heat(device: Any, root: Path) -> dict[str, Any]:
    """Temperatures, power mode and power now, and the rule that the server would apply."""
    from ...edge_devices.heat import power_mode, temperatures, watts
    found = temperatures(root, device.heat.zones)
    rule = device.heat
    if not found:
        words = "this machine tells no temperature, so heat is not watched"
    else:
        words = (f"{max(found.values()):.0f} C now; from {rule.hot_c:.0f} C on for {rule.after_s:.0f} s the server does less "
                 f"({', then '.join(rule.steps)}), until {rule.cool_c:.0f} C")
    return {"temperatures_c": found, "power_mode": power_mode(root, device.power), "watts": watts(root), "says": words}


def engines() -> str:
    """Where built engines lie and how much they take."""
    from ...models.bundle import BundleError
    from ..config import EnginesConfig
    from ..engine_keeper import folder_of
    try:
        folder = folder_of(EnginesConfig())
    except BundleError as error:
        return str(error)
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    return f"{len(files)} files of built engines in {folder}, {sum(p.stat().st_size for p in files) / 2**20:.1f} MiB"


def runs(models: Path, device: Any) -> tuple[dict[str, str], list[str]]:
    """(how each model of a folder would run on the device, a sentence for each that would not)."""
    from ...models.bundle import BundleError
    from ..discover import chosen, discover, read
    told: dict[str, str] = {}
    broken: list[str] = []
    try:
        found = discover(models)
    except BundleError as error:
        return {}, [str(error)]
    for name, model in sorted(found.items()):
        try:
            for version in chosen(model) or [""]:
                told[name] = way_of(read(model, version), device)
        except BundleError as error:
            told[name] = f"not: {error}"
            broken.append(f"model '{name}' does not run here: {error}")
    return told, broken if found else [f"{models} holds no models; name the folder in which each model has a folder of its own"]


def way_of(bundle: Any, device: Any) -> str:
    """How a bundle would run on the device. BundleError where it would not."""
    from ...models.bundle import verify
    from ..choice import choose
    from ..engine_wish import as_served
    from ..ways import usable
    verify(bundle)
    if not bundle.files:
        return "without a network, by kernels"
    bundle = as_served(bundle, device)
    choice = choose(usable(bundle, device)[0], bundle, device)
    return "as " + ", else ".join(way.name for way in choice.ways) + (
        f"; {choice.ways[0].name} comes first: {choice.why}" if len(choice.ways) > 1 else "")


def run(args: argparse.Namespace) -> int:
    """0 where everything needed works, 1 with problems, 2 for an unknown device."""
    import sys

    from ..config import ConfigError
    try:
        found = examine(args.device, args.models)
    except ConfigError as error:
        print(json.dumps({"error": str(error)}) if args.json else f"aisle doctor: {error}",
              file=sys.stdout if args.json else sys.stderr)
        return 2
    print(json.dumps(found, indent=1) if args.json else plain(found))
    return 1 if found["problems"] else 0


def places(providers: list[str]) -> str:
    """What of ONNX Runtime's providers a model can be run on here, in words; others (clouds) are nothing to us."""
    from ..backends.onnx_engine import PROVIDERS
    if not providers:
        return "nothing, it is not installed"
    return ", ".join(name.removesuffix("ExecutionProvider") for name in providers if name in PROVIDERS)


def alike(texts: dict[str, str]) -> dict[str, list[str]]:
    """The names that have the same text, by that text."""
    found: dict[str, list[str]] = {}
    for name, text in texts.items():
        found.setdefault(text, []).append(name)
    return found


def plain(found: dict[str, Any]) -> str:
    """The findings as text."""
    machine = found["machine"]
    lines = [f"Aisle {found['aisle']} on {machine['model'] or 'an unknown CPU'} ({machine['arch']}), {machine['cores']} cores, "
             f"{machine['memory_mb']} MiB; instruction sets: {' '.join(machine['flags']) or 'none of note'}"]
    lines += [text[:1].upper() + text[1:] for text in found["device_notes"]]
    lines += [f"GPU driver: {machine['nvidia_driver'] or 'none found; everything runs on the CPU'}",
              f"Arithmetic: {found['arithmetic']}", f"Threads: {found['threads']}", f"Memory: {found['memory']}",
              f"Heat: {found['heat']['says']}; power mode {found['heat']['power_mode'] or 'not told'}",
              f"Engines: {found['engines']}",
              f"ONNX Runtime runs models on: {places(found['providers'])}"]
    for title in ("packages", "backends", "models"):
        if found[title]:
            lines += [f"{title}:", *(f"  {name}: {text}" for name, text in found[title].items() if name != "null")]
    lines += ["kernels:", *(f"  {text}: {', '.join(names)}" for text, names in alike(found["kernels"]).items())]
    lines.append(f"kernels on a GPU: {found['kernels_cuda']}")
    lines += [f"PROBLEM: {problem}" for problem in found["problems"]]
    return "\n".join(lines)
