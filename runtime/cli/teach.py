"""`aisle teach`: teach an inspector by showing good parts."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..teaching import Taught


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle teach`."""
    parser.add_argument("name", help="the station's name")
    parser.add_argument("--good", type=Path, required=True, metavar="DIR", help="folder with pictures of good parts")
    parser.add_argument("--bad", type=Path, metavar="DIR", help="folder with pictures of bad parts, to check against")
    parser.add_argument("--models", type=Path, default=Path("stations"), metavar="DIR",
                        help="folder of models to write to (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")
    parser.add_argument("--json-progress", action="store_true", help="print progress and result as lines of JSON")
    parser.add_argument("--every-file", action="store_true", help="take every file as a picture, whatever its name")
    parser.add_argument("--nice", type=int, default=0, metavar="N", help="run at a lower priority (0 to 19)")
    parser.add_argument("--reduced", action="store_true",
                        help="decode JPEGs no larger than the inspector looks at them, now and in work: faster for large "
                             "pictures, at a slightly other score")
    parser.add_argument("--max-megapixels", type=float, default=50.0, metavar="N", help="largest picture accepted")


def run(args: argparse.Namespace) -> int:
    """0 after teaching, 2 with a sentence where it could not."""
    from ..errors import AisleError
    os.nice(max(0, args.nice))
    try:
        taught = teach(args)
    except AisleError as error:
        return refuse(args, error.sentence, error.code)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return refuse(args, f"the station could not be written to {args.models}: {error.strerror}"
                            f"{'; free some space and teach again' if full else ''}", "no_space" if full else "failed")
    if args.json or args.json_progress:
        line({"result": taught.as_json()} if args.json_progress else taught.as_json())
    else:
        print(plain(taught))
    return 0


def teach(args: argparse.Namespace) -> Taught:
    """Read the folders and teach, showing progress as asked."""
    from ..pictures import PictureLimits
    from ..teaching import pictures, teach_station
    good = pictures(args.good, args.every_file)
    bad = pictures(args.bad, args.every_file) if args.bad else []
    limits = PictureLimits(max_pixels=int(args.max_megapixels * 1e6))
    if args.json_progress:
        return teach_station(args.name, good, bad, args.models, limits=limits, reduced=args.reduced,
                             progress=lambda done, of, stage: line({"done": done, "of": of, "stage": stage}))
    if args.json:
        return teach_station(args.name, good, bad, args.models, limits=limits, reduced=args.reduced)
    with Bar() as bar:
        return teach_station(args.name, good, bad, args.models, limits=limits, reduced=args.reduced, progress=bar.show)


class Bar:
    """A progress bar on standard error, one pass for each stage."""

    def __enter__(self) -> Bar:
        from tqdm import tqdm
        self._make: Callable[..., Any] = tqdm
        self._bar: Any = None
        self._stage = ""
        return self

    def show(self, done: int, of: int, stage: str) -> None:
        """`done` of `of` in `stage`."""
        if self._bar is None or stage != self._stage:
            self.__exit__()
            self._bar, self._stage = self._make(total=of, desc=stage, leave=False, file=sys.stderr), stage
        self._bar.update(done - self._bar.n)

    def __exit__(self, *problem: object) -> None:
        if self._bar is not None:
            self._bar.close()


def line(told: dict[str, Any]) -> None:
    """One JSON object on standard output, at once."""
    print(json.dumps(told), flush=True)


def refuse(args: argparse.Namespace, sentence: str, code: str) -> int:
    """Say why nothing was taught, where the caller looks for it."""
    if args.json or args.json_progress:
        line({"error": sentence, "code": code})
    else:
        print(f"aisle teach: {sentence}", file=sys.stderr)
    return 2


def plain(taught: Taught) -> str:
    """The result in words."""
    from ..teaching import advice, promises
    average, bound = promises(taught)
    lines = [f"Station '{taught.station}' has learned from {taught.good} good parts (version {taught.version}, in "
             f"{taught.path}).", f"Promise: {average}; {bound}.", f"Better: {advice(taught)}."]
    lines += [f"Look at this: {warning}" for warning in taught.warnings]
    return "\n".join(lines)
