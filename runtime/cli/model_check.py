"""`aisle model check`: every variant of a bundle on this machine."""

from __future__ import annotations

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle model check`."""


def run(args: argparse.Namespace) -> int:
    """0."""
    return 0
