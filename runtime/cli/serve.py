"""`aisle serve`: serve the models of a folder over HTTP."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ... import __version__


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle serve`; each is a key of the configuration."""
    parser.add_argument("--config", type=Path, help="TOML file; `aisle config` prints an annotated one")
    parser.add_argument("--models", metavar="DIR", help="folder with the models")
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="TCP port (default 8000; 0: a free one)")
    parser.add_argument("--device", help="device profile (default: the one that fits this machine)")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"))


def overrides(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What the command line says, in the configuration's shape."""
    given = {"server": {"host": args.host, "port": args.port}, "repository": {"path": args.models},
             "device": {"profile": args.device}, "log": {"level": args.log_level}}
    return {s: {k: v for k, v in keys.items() if v is not None} for s, keys in given.items()}


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM; 2 for a wrong configuration."""
    from ..config import ConfigError, load_config
    try:
        config = load_config(args.config, overrides(args))
    except ConfigError as error:
        print(f"aisle: {error}", file=sys.stderr)
        return 2
    from ..place import place
    if config.server.workers > 1 and place() is None:
        from ..supervisor import supervise

        def announced(address: str) -> None:
            print(f"Aisle {__version__} serves {config.repository.path} at {address} with {config.server.workers} workers  "
                  f"(station page: {address}/)", flush=True)
        return supervise(config, sys.argv[1:], announced)
    from ..app import App, run

    def announce(app: App) -> None:
        if place() is not None:
            return                           # the supervisor says it, once for all
        print(f"Aisle {__version__} serves {app.repository.root} at {app.address}  (station page: {app.address}/)",
              flush=True)
    return run(config, announce)
