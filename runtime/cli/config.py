"""`aisle config`: print the annotated configuration, or check a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle config`."""
    parser.add_argument("--check", type=Path, metavar="FILE", help="report every mistake of this file")


def run(args: argparse.Namespace) -> int:
    """0, or 2 where the checked file has mistakes."""
    from ..config import ConfigError, annotated, load_config
    if args.check is None:
        print(annotated(), end="")
        return 0
    try:
        load_config(args.check)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.check}: no mistakes")
    return 0
