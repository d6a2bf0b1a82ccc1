"""Verdicts on real pictures: nets with a head fitted on half of the photos of cartons, quantised with all of them.

Photos are held out by thirds, one after the other, so that every photo is judged once, by a file that never saw it.
"""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ...models.agreement import at_least
from ...models.bundle import Bundle, BundleError, TensorSpec
from ...models.calibrate import picture_spec
from ...models.inspect.network import feed
from ...models.inspect.publish import publish
from ...models.make import nets
from ...runtime.backends import make_backend
from ...runtime.pictures import decode
from ...runtime.quantizing import quantize_bundle
from ..report import Options, Row
from . import trained
from .ratios import ONE

ARCHIVE = Path("retail") / "grocery" / "grocery_packages_trainval.zip"
GOAL = 0.99
TURNS = 3              # every third is held out: three turns of the order hold out each photo once
SIZE = trained.SIZE
Head = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A kind of network: writes its file, of the body alone or with a head, and says how pictures are fed."""

    name: str
    write: Callable[[Path, Head | None], Path]
    table: Mapping[str, Any]


@dataclass(frozen=True)
class Photos:
    """The photos as they are, which product each shows, and the products."""

    pictures: list[bytes]
    labels: list[int]
    names: list[str]


def kinds(data: Path) -> list[Kind]:
    """Two with random bodies, and the trained ones that are there."""
    table = {"input": "image", "height": SIZE, "width": SIZE}

    def made(kind: str, path: Path, head: Head | None) -> Path:
        return nets.features(path, kind, SIZE) if head is None else nets.classifier(path, kind, head, SIZE)

    found = [Kind(f"{kind}, random", partial(made, kind), table | {"scale": [1 / 58] * 3, "bias": [-2.0] * 3})
             for kind in nets.KINDS]
    for name, stored in trained.STORED.items():
        if (data / "backbones" / stored.file).is_file():
            parts = trained.body(data / "backbones", stored)
            feeding = {"scale": list(stored.scale), "bias": list(stored.bias), "rgb": stored.rgb}
            found.append(Kind(name, partial(written, parts), table | feeding))
    return found


def written(parts: tuple[list[Any], list[Any]], path: Path, head: Head | None) -> Path:
    """A trained body, with a head or without."""
    return trained.write(path, *parts, head)


def agreements(data: Path, folder: Path, options: Options) -> list[Row]:
    """One row a kind of network; without the archive a row that says so."""
    if not options.wants("real"):
        return []
    if not (data / ARCHIVE).is_file():
        return [Row("real", "verdicts that agree", None, goal=f">= {GOAL:.0%}", note=f"{data / ARCHIVE} is not there")]
    shown = photos(data / ARCHIVE)
    return [one(kind, shown, folder) for kind in kinds(data) if options.wants(f"real {kind.name}")]


def photos(archive: Path) -> Photos:
    """Read the archive."""
    with zipfile.ZipFile(archive) as opened:
        files = sorted(n for n in opened.namelist() if n.lower().endswith(".jpg"))
        names = sorted({Path(n).parent.name for n in files})
        return Photos([opened.read(n) for n in files], [names.index(Path(n).parent.name) for n in files], names)


def one(kind: Kind, shown: Photos, folder: Path) -> Row:
    """Fit the head on every second photo, quantise, and say how many held-out verdicts agree."""
    specs = TensorSpec("image", "float32", (3, SIZE, SIZE)), TensorSpec("scores", "float32", (len(shown.names),))
    bundle = Bundle(re.sub(r"\W+", "-", f"real {kind.name}"), "1", "model", folder, (specs[0],), (specs[1],),
                    {("onnx", "fp32"): "model.onnx"}, 8, {"picture": dict(kind.table)})
    rows, labels = features(kind, bundle, shown, folder), np.array(shown.labels)
    learnt = np.arange(len(rows)) % 2 == 0
    head = nets.fit(rows[learnt], labels[learnt].tolist(), len(shown.names))
    right = float(np.mean((rows[~learnt] @ head[0] + head[1]).argmax(1) == labels[~learnt]))
    publish(bundle, lambda at: (kind.write(at / "model.onnx", head).name,), folder / "real")
    note = f"FP32 itself names {right:.1%} rightly"
    return turned(kind, folder / "real" / bundle.name, shown.pictures, folder / "photos", note)


def features(kind: Kind, bundle: Bundle, shown: Photos, folder: Path) -> np.ndarray:
    """What the body sees in every photo: float32 (n, channels)."""
    backend = make_backend("onnx")
    plain = Bundle("body", "1", "model", folder, files={("onnx", "fp32"): kind.write(folder / "body.onnx", None).name})
    session: Any = backend.open(backend.describe(plain), ONE)
    spec, rows = picture_spec(bundle, kind.table), []
    for data in tqdm(shown.pictures, desc=f"real {kind.name}", file=sys.stderr, leave=False):
        feed(decode(data), spec, session.row(0)["image"])
        session.run(1)
        rows.append(session.row(0)["features"].copy())
    return np.stack(rows)


def turned(kind: Kind, model: Path, pictures: list[bytes], kept: Path, note: str) -> Row:
    """Quantise with the photos in three orders, each of which holds out another third, and add up."""
    case, goal = f"real {kind.name}: {len(pictures)} photos", f">= {GOAL:.0%}"
    right = held = 0
    ratios, floats, layers = [], [], 0
    for turn in tqdm(range(TURNS), desc=f"quantise {kind.name}", file=sys.stderr, leave=False):
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for i, picture in enumerate(pictures[turn:] + pictures[:turn]):
            (kept / f"{i:04d}.jpg").write_bytes(picture)
        try:
            made = quantize_bundle(model / "1", kept, bound=GOAL, most=len(pictures))
        except BundleError as error:
            return Row(case, "verdicts that agree", None, goal=goal, met=False, note=f"{note}; third {turn + 1}: {error}")
        seen = made.result.kept["cpu"]
        right, held = right + round(seen.agreement * seen.samples), held + seen.samples
        ratios.append(made.ratio)
        floats.append(str(len(made.result.floats)))
        layers = made.result.layers
    return Row(case, "verdicts that agree", right / held, "", None, "FP32", 1.0, float(np.median(ratios)), goal,
               right / held >= GOAL, f"{right} of {held}, each held out once, at least {at_least(right, held):.1%} with 95 % "
               f"confidence; {note}; {', '.join(floats)} of {layers} layers in float in the three turns; ratio: of speed")
