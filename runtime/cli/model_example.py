"""`aisle model example`: a classifier of drawn textures and pictures to calibrate it with, without any download."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle model example`."""
    parser.add_argument("name", help="the model's name")
    parser.add_argument("--net", choices=("residual", "mobile"), default="residual",
                        help="kind of network (default %(default)s)")
    parser.add_argument("--size", type=int, default=224, metavar="PX",
                        help="side of its input, a multiple of 32 (default %(default)s)")
    parser.add_argument("--models", type=Path, default=Path("models"), metavar="DIR", help="folder of models to write to")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write drawn pictures there, to calibrate with")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")


def run(args: argparse.Namespace) -> int:
    """0 with a bundle, 2 with a sentence."""
    from ...models.bundle import BundleError
    from ..examples import make_example, write_pictures
    from .teach import Bar
    if args.size % 32 or not 32 <= args.size <= 1024:
        print(f"aisle model example: expected --size to be a multiple of 32 from 32 to 1024, got {args.size}", file=sys.stderr)
        return 2
    try:
        with Bar() as bar:
            progress: Any = (lambda done, of, stage: None) if args.json else bar.show
            bundle = make_example(args.models, args.name, args.net, args.size, progress=progress)
            count = write_pictures(args.pictures, progress=progress) if args.pictures else 0
    except (BundleError, OSError) as error:
        print(json.dumps({"error": str(error)}) if args.json else f"aisle model example: {error}",
              file=sys.stdout if args.json else sys.stderr)
        return 2
    told = {"name": bundle.name, "version": bundle.version, "path": str(bundle.root), "pictures": count}
    print(json.dumps(told) if args.json else f"'{bundle.name}' version {bundle.version} is in {bundle.root}"
          + (f"; {count} pictures are in {args.pictures}" if count else ""))
    return 0
