"""`aisle model`: quantise a bundle, check what its variants do here, make one to try with."""

from __future__ import annotations

import argparse
from importlib import import_module

COMMANDS = {
    "quantize": ("aisle.runtime.cli.model_quantize", "make the INT8 version of a bundle, calibrated with pictures"),
    "check": ("aisle.runtime.cli.model_check", "load every variant: canary, latency and memory on this machine"),
    "compile": ("aisle.runtime.cli.model_compile", "build the engine of a bundle now, so that a server starts on it"),
    "example": ("aisle.runtime.cli.model_example", "make a small classifier of drawn textures, with pictures to calibrate it"),
}


def add(parser: argparse.ArgumentParser) -> None:
    """The commands below `aisle model`."""
    commands = parser.add_subparsers(dest="model_command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        import_module(module).add(commands.add_parser(name, help=text, description=text))


def run(args: argparse.Namespace) -> int:
    """The chosen command's exit code."""
    code: int = import_module(COMMANDS[args.model_command][0]).run(args)
    return code
