"""`aisle bench`: the same as `python -m aisle.bench`."""

from __future__ import annotations

import argparse
import subprocess
import sys


def add(parser: argparse.ArgumentParser) -> None:
    """Everything after `bench` goes to the bench's own command line."""
    parser.add_argument("rest", nargs=argparse.REMAINDER)


def run(args: argparse.Namespace) -> int:
    """The bench's exit code. A process of its own, because nothing of the runtime imports the benches."""
    return subprocess.run([sys.executable, "-m", "aisle.bench", *args.rest], check=False).returncode
