"""How a command ends: what it did as text or JSON and 0, or one sentence and 2."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from ..errors import AisleError


def finish(command: str, args: argparse.Namespace, work: Callable[[], tuple[dict[str, Any], str]], place: object = "") -> int:
    """Do the work and say what came of it: (plain data for --json, text). `place` is where a disk error without a name was."""
    try:
        told, text = work()
    except AisleError as error:
        return refuse(command, args.json, error.sentence)
    except ValueError as error:
        return refuse(command, args.json, str(error))
    except OSError as error:
        return refuse(command, args.json, f"{error.filename or place}: {error.strerror or error}")
    print(json.dumps(told, ensure_ascii=False) if args.json else text)
    return 0


def refuse(command: str, as_json: bool, sentence: str, **more: str) -> int:
    """Say why nothing was done, where the caller looks for it: on standard output with --json, else on standard error."""
    if as_json:
        print(json.dumps({"error": sentence, **more}))
    else:
        print(f"aisle {command}: {sentence}", file=sys.stderr)
    return 2
