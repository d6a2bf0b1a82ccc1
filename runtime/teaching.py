"""Teaching from folders of pictures: what the command line and the HTTP upload both need."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..models.bundle import Bundle, BundleError
from .errors import Invalid, TooLarge
from .pictures import Picture, PictureLimits, read, size_of
from .versions import next_version

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pnm")
LEAST_GOOD = 2
MAX_DECODED = 2 << 30          # bytes of decoded pictures held at once
KEEP_VERSIONS = 20
CONFIDENCE = 0.95
GOALS = (0.05, 0.01)           # bounds worth advising for

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Better:
    """So many more good parts bring the 95 % bound down to this share."""

    parts: int
    bound: float


@dataclass(frozen=True)
class Taught:
    """What a teaching made. Promises are rates of good parts rejected: on average, and at most with 95 % confidence."""

    station: str
    version: str
    good: int
    bad: int
    threshold: float
    promise_average: float
    promise_bound: float
    more: tuple[Better, ...]
    warnings: tuple[str, ...]
    path: str

    def as_json(self) -> dict[str, Any]:
        """Plain data, with the promises in words."""
        return {**asdict(self), "warnings": list(self.warnings), "promises": list(promises(self)), "advice": advice(self)}


def check_name(name: str) -> None:
    """Raise Invalid for a station name that cannot be a folder and a part of a URL everywhere."""
    if not NAME.fullmatch(name):
        raise Invalid(f"station name {name[:80]!r}: expected 1 to 64 of A-Z a-z 0-9 _ . - that begin with a letter, a "
                      "digit or _")


def average_promise(good: int) -> float:
    """Largest average share of good parts rejected, with the threshold at the highest of `good` leave-one-out scores."""
    return 1 / (good + 1)


def bound_promise(good: int) -> float:
    """Share of good parts rejected that is not exceeded with 95 % confidence, for the same threshold."""
    return 1 - (1 - CONFIDENCE) ** (1 / good)


def parts_for(bound: float) -> int:
    """How many good parts bring the bound down to that share."""
    good = 1
    while bound_promise(good) > bound:
        good += 1
    return good


def percent(share: float) -> str:
    """0.0476 -> '4.8 %'."""
    return f"{100 * share:.1f} %"


def promises(taught: Taught) -> tuple[str, str]:
    """Both promises in words."""
    return (f"average false rejects at most {percent(taught.promise_average)}",
            f"at most {percent(taught.promise_bound)} with 95 % confidence")


def better(good: int) -> tuple[Better, ...]:
    """How many more good parts bring the bound down to each goal that is not reached yet."""
    steps = [Better(parts_for(goal) - good, goal) for goal in GOALS]
    return tuple(step for step in steps if step.parts > 0)


def advice(taught: Taught) -> str:
    """What more good parts would buy, in words."""
    if not taught.more:
        return "the promise is as tight as it needs to be"
    steps = ", ".join(f"{step.parts} more good parts for at most {step.bound:.0%}".replace("%", " %")
                      for step in taught.more)
    return f"show {steps} (with 95 % confidence)"


def pictures(folder: Path, every: bool = False) -> list[Path]:
    """The picture files of a folder by name; `every` takes files of any name. Invalid where there is no such folder."""
    if not folder.is_dir():
        raise Invalid(f"{folder} is not a folder; name one that holds pictures")
    found = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    return [p for p in found if every or p.suffix.lower() in SUFFIXES]


@dataclass(frozen=True)
class Shown:
    """Pictures to teach with, uint8 BGR of one size; `sent` is their (height, width) before they were decoded smaller."""

    images: list[np.ndarray]
    sent: tuple[int, int] | None


def read_all(paths: Sequence[Path], limits: PictureLimits, tick: Callable[[], None], reduced: bool = False) -> Shown:
    """Every picture; with `reduced` decoded as small as teaching allows, where all of them can be alike.

    Invalid names the file that is broken or of another size.
    """
    from ..models.inspect.teach import cover
    least = cover(_named(paths[0], lambda data: size_of(data).upright)) if reduced else None
    found = _read(paths, limits, least, tick)
    if len({picture.reduction for picture in found}) > 1:     # some are PNG, or their colours are stored otherwise
        found = _read(paths, limits, None, lambda: None)
    return Shown([picture.image for picture in found], found[0].size if found[0].reduction > 1 else None)


def _read(paths: Sequence[Path], limits: PictureLimits, cover: tuple[int, int] | None,
          tick: Callable[[], None]) -> list[Picture]:
    found: list[Picture] = []
    nbytes = 0
    for path in paths:
        found.append(_named(path, lambda data: read(data, limits, cover)))
        last, first = found[-1], found[0]
        if last.size != first.size:
            raise Invalid(f"picture {path.name} is {last.size[1]} x {last.size[0]} but {paths[0].name} is {first.size[1]} x "
                          f"{first.size[0]}; expected pictures of one size: take them all with the same camera settings")
        nbytes += last.image.nbytes
        if nbytes > MAX_DECODED:
            raise TooLarge(f"the pictures hold more than {MAX_DECODED >> 30} GiB of pixels; teach with fewer or smaller ones")
        tick()
    return found


T = TypeVar("T")


def _named(path: Path, look: Callable[[bytes], T]) -> T:
    """What `look` makes of a file; its Invalid names the file."""
    try:
        return look(path.read_bytes())
    except Invalid as error:
        raise type(error)(f"picture {path.name}: {error.sentence}") from None


def forget_old(folder: Path, keep: int = KEEP_VERSIONS) -> None:
    """Remove all but the newest `keep` versions of a taught station, so that teaching daily never fills the disk."""
    versions = sorted((p for p in folder.iterdir() if p.name.isdigit() and (p / "bundle.toml").is_file()),
                      key=lambda p: int(p.name))
    for old in versions[:-keep]:
        shutil.rmtree(old)


def teach_station(name: str, good: Sequence[Path], bad: Sequence[Path], models: Path, *,
                  limits: PictureLimits | None = None, progress: Progress | None = None, reduced: bool = False) -> Taught:
    """Learn from picture files and write the next version of station `name` below `models`.

    With `reduced` JPEGs are decoded no larger than the working picture needs, here and by the station. Raises Invalid
    (pictures, name), TooLarge, OSError. Nothing is left behind by a teaching that fails.
    """
    from ..models.inspect.teach import teach  # heavy, and not needed to check a name
    check_name(name)
    if len(good) < LEAST_GOOD:
        raise Invalid(f"teaching needs at least {LEAST_GOOD} pictures of good parts, got {len(good)}; 20 make a useful start")
    tell = progress or (lambda done, of, stage: None)
    limits = limits or PictureLimits()
    read = 0

    def tick() -> None:
        nonlocal read
        read += 1
        tell(read, len(good) + len(bad), "read")

    shown = read_all([*good, *bad], limits, tick, reduced)
    models.mkdir(parents=True, exist_ok=True)
    version = next_version(models, name, "inspector")
    try:
        bundle = teach(name, shown.images[:len(good)], shown.images[len(good):], out_dir=models, version=version, progress=tell,
                       sent=shown.sent)
    except BundleError as error:
        raise Invalid(str(error)) from None
    forget_old(models / name)
    return summary(bundle, good, bad)


def summary(bundle: Bundle, good: Sequence[Path], bad: Sequence[Path]) -> Taught:
    """What the new bundle says of itself, with pictures named by their files."""
    params = bundle.params
    return Taught(bundle.name, bundle.version, len(good), len(bad), float(params["threshold"]),
                  float(params["promise_average"]), float(params["promise_bound"]), better(len(good)),
                  tuple(params.get("warnings", ())), str(bundle.root))
