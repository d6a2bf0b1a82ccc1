"""`aisle model compile`: build a model's engine now, so that a server starts on it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outcome import refuse

if TYPE_CHECKING:
    from ..compiling import Compiled


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle model compile`."""
    parser.add_argument("bundle", type=Path, help="a bundle's folder, or a model's folder (its newest version is meant)")
    parser.add_argument("--backend", default="tensorrt", help="what the engine is for (default %(default)s)")
    parser.add_argument("--device", help="device profile (default: the one that fits this machine)")
    parser.add_argument("--config", type=Path, help="the server's TOML file: its section `engines` says where they are kept")
    parser.add_argument("--again", action="store_true", help="build although there is one")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")


def run(args: argparse.Namespace) -> int:
    """0 with an engine that answers as its model, 2 with a sentence where there is none."""
    from ...models.bundle import BundleError
    from ..errors import AisleError
    try:
        made = build(args)
    except AisleError as error:
        return refuse("model compile", args.json, error.sentence, code="failed")
    except ValueError as error:              # a profile, a configuration or a bundle that is none
        code = "invalid" if isinstance(error, BundleError) else "failed"
        return refuse("model compile", args.json, str(error), code=code)
    print(json.dumps(made.as_json()) if args.json else plain(made))
    return 0


def build(args: argparse.Namespace) -> Compiled:
    """Build, with a progress bar unless JSON was asked for."""
    from tqdm import tqdm

    from ...edge_devices.probe import pick_profile, probe
    from ...edge_devices.profile import load_profile
    from ..compiling import compile_bundle, settings_of
    from ..quantizing import find_bundle
    bundle, _ = find_bundle(args.bundle)
    device = load_profile(args.device) if args.device else pick_profile(probe())[0]
    settings = settings_of(args.config)
    bar: Any = None

    def show(part: float, doing: str) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=100, leave=False, file=sys.stderr, bar_format="{desc:<40.40} {percentage:3.0f}%|{bar}| {elapsed}")
        bar.set_description_str(doing, refresh=False)
        bar.update(100 * part - bar.n)
    try:
        return compile_bundle(bundle, device, args.backend, settings, again=args.again,
                              progress=(lambda part, doing: None) if args.json else show)
    finally:
        if bar is not None:
            bar.close()


def plain(made: Compiled) -> str:
    """The report in words."""
    where = made.platform
    how = f"built in {made.seconds:.1f} s" if made.built else f"there already (it took {made.seconds:.1f} s to build)"
    return (f"The engine of '{made.name}' version {made.version} for {made.backend} {made.precision} is {how} from "
            f"{made.source} and answers as it does.\n"
            f"It is {made.bytes:,} bytes at {made.path},\n"
            f"for {where['library']} {where['version']}, CUDA {where['cuda'] or '-'}, driver {where['driver'] or '-'}, "
            f"{where['device']}. Anything else of these builds another one.")
