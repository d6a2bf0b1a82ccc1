"""What this device does with models: every bundle by every backend, precision and batch; `--out DIR` writes the report.

`--models DIR` measures a folder of bundles, as a station has them; without it two made ones are quantised and measured.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ...models.bundle import Bundle, BundleError, verify
from ...runtime.discover import chosen, discover, read
from ...runtime.examples import make_example, write_pictures
from ...runtime.quantizing import quantize_bundle
from ..report import Options, Refused, Row, summary
from .facts import facts
from .ratios import ratios
from .real import agreements
from .report import write
from .sweep import sweep


def run(options: Options) -> Iterator[Row]:
    """The rows of the bench contract; the report, with every figure, is written where `--out` says."""
    if options.out is not None:
        claim(options.out)      # before minutes of measuring, not after
    with tempfile.TemporaryDirectory(prefix="aisle-device-") as folder:
        made = None if options.models else example_bundles(Path(folder), options.quick)
        bundles = given_bundles(options.models) if options.models else made or []
        entries = list(sweep([b for b in bundles if b.files], options))
        rows = [row for entry in entries for row in entry.rows()]
        if made:
            rows += ratios(made, options)
        if not rows and options.models:
            raise Refused(f"nothing was measured of --models {options.models}" + (
                f": no variant has {options.only!r} in its name" if options.only and bundles else
                ": it holds no model with a network; name a folder in which each model has a folder of its own"))
        if options.data is not None and not options.quick:
            rows += agreements(options.data, Path(folder), options)
    yield from rows
    if options.out is not None:
        told = {**summary("device", rows), "facts": facts(), "entries": [entry.as_json() for entry in entries]}
        for path in write(told, options.out):
            print(f"wrote {path}", file=sys.stderr)


def claim(folder: Path) -> None:
    """Make the report's folder. Refused where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise Refused(f"--out {folder}: nothing can be written there ({error.strerror}); name another folder") from None


def given_bundles(root: Path) -> list[Bundle]:
    """The bundles of a folder that a server would serve; what cannot be read is said and left out."""
    found = []
    try:
        models = discover(root)
    except BundleError as error:
        raise Refused(f"--models {root}: {error}") from None
    for name, model in sorted(models.items()):
        try:
            for version in chosen(model) or [""]:
                bundle = read(model, version)
                verify(bundle)
                found.append(bundle)
        except BundleError as error:
            print(f"'{name}' is left out: {error}", file=sys.stderr)
    return found


def example_bundles(folder: Path, quick: bool) -> list[Bundle]:
    """A residual and a mobile classifier of drawn textures, quantised with drawn pictures; see models/make/nets.py."""
    from ...runtime.quantizing import find_bundle
    write_pictures(folder / "pictures", 4 if quick else 12)
    made = []
    for kind in ("residual", "mobile"):
        make_example(folder / "models", kind, kind, learnt=4 if quick else 24)
        try:
            quantize_bundle(folder / "models" / kind, folder / "pictures", bound=0.01)
        except BundleError as error:
            print(f"{kind}: {error}", file=sys.stderr)
        made.append(find_bundle(folder / "models" / kind)[0])
    return made
