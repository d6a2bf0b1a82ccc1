"""The command line: `aisle COMMAND`. Each command is a module with add(parser) and run(arguments)."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

COMMANDS = {
    "serve": ("aisle.runtime.cli.serve", "serve the models of a folder over HTTP"),
    "teach": ("aisle.runtime.cli.teach", "teach an inspector by showing good parts"),
    "inspect": ("aisle.runtime.cli.inspect", "inspect pictures with a taught inspector"),
    "map": ("aisle.runtime.cli.map", "build a map from a file, and ask it for a way"),
    "search": ("aisle.runtime.cli.search", "make the text encoder that search by meaning needs"),
    "recommend": ("aisle.runtime.cli.recommend", "fit a recommender on who looked at what"),
    "shop": ("aisle.runtime.cli.shop", "make a shop of a catalogue, check one, export or erase a visitor"),
    "demo": ("aisle.runtime.cli.demo", "make parts, teach, serve and inspect: the whole job on made pictures"),
    "config": ("aisle.runtime.cli.config", "print the annotated configuration, or check one"),
    "model": ("aisle.runtime.cli.model", "quantise a bundle, check its variants, make an example"),
    "doctor": ("aisle.runtime.cli.doctor", "say what this machine is, what works and what does not"),
    "bench": ("aisle.runtime.cli.bench", "measure: the same as python -m aisle.bench"),
}


def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; only the named command's module is imported."""
    from .. import __doc__ as about
    made = argparse.ArgumentParser(prog="aisle", description=about)
    commands = made.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name == only:
            import_module(module).add(sub)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Read when NumPy and OpenCV load: their own thread pools would fight the engine's budget.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    words = sys.argv[1:] if arguments is None else arguments
    only = next((word for word in words if word in COMMANDS), None)
    parsed = parser(only).parse_args(words)
    run = import_module(COMMANDS[parsed.command][0]).run
    try:
        code: int = run(parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141
    return code
