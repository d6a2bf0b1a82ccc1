"""What a fitted recommender is on disk: a bundle with an encoder, a table of items, and who was looked at with whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle import Bundle, BundleError, TensorSpec, digest
from ..bundle_file import read_bundle, write_bundle_toml
from .words import hashed

FORMAT = 1             # rises when older readers would misread the files
ROLE = "recommend"
NEAR = 50              # at most so many co-visited items are kept for each item
ENCODERS = {"fp32": "encoder.onnx", "int8": "encoder.int8.onnx"}
MAX_ID = 256           # characters of an item's id

# name -> (dtype, shape): n items, d values a vector, k co-visited items, b hashed words.
ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "vectors": ("float32", ("n", "d")), "seen": ("uint32", ("n",)), "trend": ("float32", ("n",)),
    "near": ("int32", ("n", "k")), "near_count": ("uint32", ("n", "k")), "near_weight": ("float32", ("n", "k")),
    "words": ("float32", ("b", "d")),
}


@dataclass(frozen=True)
class Fitted:
    """A recommender without its engine.

    Row i of every array belongs to `ids[i]`. `vectors` float32 (n, d) is the table: the score of item i for a visitor is
    `taste @ vectors[i]` plus its bonus (see `bonus`), where the encoder makes `taste` float32 (d,) of `history`.
    `seen` uint32 (n,) counts the events of an item, `trend` float32 (n,) the same with each event halved for every
    half-life that it is old. `near` int32 (n, k) are the items most often next to an item, best first, -1 where there
    are no more; `near_count` uint32 (n, k) the visitors who had both; `near_weight` float32 (n, k) >= 0 the bonus they get.
    `words` float32 (b, d) places an item that nobody has seen yet by its text, b = 0 where there was no catalogue to
    learn from (see `cold`). `length` is how many events the encoder takes, `ages` float32 (length,) how much a bonus still
    weighs when its event is 0, 1, ... events old. `report` says how the recommender was fitted and what it reached.
    """

    ids: tuple[str, ...]
    vectors: np.ndarray
    seen: np.ndarray
    trend: np.ndarray
    near: np.ndarray
    near_count: np.ndarray
    near_weight: np.ndarray
    words: np.ndarray
    length: int
    ages: tuple[float, ...]
    unit: bool = False                     # every row of `vectors` has length 1
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Values in a vector."""
        return int(self.vectors.shape[1])


def history(fitted: Fitted, events: np.ndarray) -> np.ndarray:
    """The encoder's input for the vectors of a visitor's events, oldest first: float32 (n, d) -> (length, d).

    The newest `length` events stay, at the end; rows of zeros before them are read as "nothing". So an item that was
    not there at the fit takes part through its own vector. ValueError where the shape does not fit.
    """
    if events.ndim != 2 or events.shape[1] != fitted.depth:
        raise ValueError(f"expected events (n, {fitted.depth}), got {events.shape} - at `events`")
    out = np.zeros((fitted.length, fitted.depth), np.float32)
    newest = events[-fitted.length:]
    out[fitted.length - len(newest):] = newest
    return out


def bonus(fitted: Fitted, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What items get because they go with the visitor's newest events: rows int32 (m,), ascending, and bonus float32 (m,) > 0.

    `rows` are the events oldest first; -1 stands for an event that has no row. The exact best k of taste plus bonus are
    among the best k of taste alone and these rows, since no bonus is below zero.
    """
    near, weight = bonuses(fitted, rows)
    found, place = np.unique(near, return_inverse=True)
    total = np.bincount(place, weight, len(found)).astype(np.float32)
    keep = (found >= 0) & (total > 0)
    return found[keep].astype(np.int32), total[keep]


def bonuses(fitted: Fitted, rows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `bonus` adds up: items int32 (m,), -1 for none and some of them twice, and float32 (m,) >= 0 for each."""
    newest = np.asarray(rows, np.int64)[::-1][:len(fitted.ages)]
    known = np.flatnonzero(newest >= 0)
    at = newest[known]
    weight = fitted.near_weight[at] * np.asarray(fitted.ages, np.float32)[known, None]
    return fitted.near[at].ravel(), weight.ravel()


def cold(fitted: Fitted, texts: Sequence[str]) -> np.ndarray:
    """Vectors for items by what is written about them, float32 (m, d); zeros where no word is known or none was learnt."""
    out = np.zeros((len(texts), fitted.depth), np.float32)
    if not len(fitted.words):
        return out
    for row, text in enumerate(texts):
        buckets, weights = hashed(text, len(fitted.words))
        if len(buckets):
            out[row] = weights @ fitted.words[buckets]
    return scaled(out) if fitted.unit else out


def scaled(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1, rows of zeros as they are: float32 (m, d)."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)


def quantised(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The table as whole numbers: int8 (n, d) from -127 to 127 and float32 (n,) with vectors ~ codes * scale[:, None]."""
    scale = (np.abs(vectors).max(axis=1, initial=0) / 127).astype(np.float32)
    codes = np.rint(vectors / np.where(scale > 0, scale, 1)[:, None]).astype(np.int8)
    return codes, scale


# ---- on disk

def save(fitted: Fitted, encoders: Mapping[str, bytes], folder: Path, name: str, version: str = "1",
         licence: str = "") -> Bundle:
    """Write the bundle into `folder` (made if needed); `encoders` maps "fp32" and "int8" to the bytes of ONNX files.

    BundleError where the parts do not fit together, before anything is written.
    """
    check(fitted)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_files(fitted, encoders, folder)
    bundle = replace(described(fitted, encoders, name, version, licence), root=folder,
                     sha256={file: digest(folder / file) for file in written})
    write_bundle_toml(bundle, folder)
    return bundle


def described(fitted: Fitted, precisions: Iterable[str], name: str, version: str = "1", licence: str = "") -> Bundle:
    """The bundle without its files' checksums, as `models.inspect.publish.publish` takes it together with `write_files`."""
    params = {"format": FORMAT, "length": fitted.length, "depth": fitted.depth, "items": len(fitted.ids),
              "ages": [float(a) for a in fitted.ages], "unit": fitted.unit, "report": dict(fitted.report)}
    return Bundle(name, version, ROLE, Path(), (TensorSpec("history", "float32", (fitted.length, fitted.depth)),),
                  (TensorSpec("taste", "float32", (fitted.depth,)),),
                  {("onnx", precision): ENCODERS[precision] for precision in precisions}, max_batch=64, params=params,
                  licence=licence)


def write_files(fitted: Fitted, encoders: Mapping[str, bytes], folder: Path) -> tuple[str, ...]:
    """Write everything but bundle.toml into a folder that is there; the names of the files."""
    check(fitted)
    for precision, data in encoders.items():
        (folder / ENCODERS[precision]).write_bytes(data)
    (folder / "ids.txt").write_text("\n".join(fitted.ids) + "\n", "utf-8")
    for stem in ARRAYS:
        np.save(folder / f"{stem}.npy", np.ascontiguousarray(getattr(fitted, stem)))
    return ("ids.txt", *(ENCODERS[p] for p in encoders), *(f"{stem}.npy" for stem in ARRAYS))


def load(folder: Path) -> Fitted:
    """The recommender in `folder`, its arrays read-only; BundleError says which file does not fit and why.

    Everything is checked but the checksums: that is `bundle.verify`.
    """
    return fitted_of(read_bundle(folder))


def fitted_of(bundle: Bundle) -> Fitted:
    """The recommender of a bundle that was read already; see `load`."""
    params = bundle.params
    if bundle.role != ROLE or params.get("format") != FORMAT:
        raise BundleError(f"{bundle.root} is a bundle with role {bundle.role!r}, format {params.get('format')!r}; expected "
                          f"{ROLE!r} of format {FORMAT}: fit it again with `aisle recommend fit`")
    length, ages, report = params.get("length"), params.get("ages"), params.get("report", {})
    if not isinstance(length, int) or not isinstance(ages, list) or not all(isinstance(a, (int, float)) for a in ages):
        raise BundleError(f"{bundle.root}: expected a whole number `params.length` and a list of numbers `params.ages`, got "
                          f"{length!r} and {ages!r}; fit the recommender again")
    made = Fitted(_ids(bundle), **{stem: _array(bundle, stem) for stem in ARRAYS}, length=length,
                  ages=tuple(float(a) for a in ages), unit=params.get("unit") is True, report=report)
    check(made, str(bundle.root))
    return made


def _ids(bundle: Bundle) -> tuple[str, ...]:
    path = bundle.path("ids.txt")
    try:
        return tuple(path.read_text("utf-8").removesuffix("\n").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"cannot read {path}: {error}; the recommender is damaged: copy it again") from error


def _array(bundle: Bundle, stem: str) -> np.ndarray:
    path = bundle.path(f"{stem}.npy")
    try:
        made = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise BundleError(f"cannot read {path}: {error}; the recommender is damaged: copy it again") from error
    made.setflags(write=False)
    return made


def check(fitted: Fitted, where: str = "recommender") -> None:
    """BundleError unless every array has its dtype, shape and range, and every item an id of its own."""
    sizes = {"n": len(fitted.ids)}
    for stem, (dtype, dims) in ARRAYS.items():
        array = getattr(fitted, stem)
        if array.dtype != dtype or array.ndim != len(dims):
            raise BundleError(f"{where}: expected {dtype} ({', '.join(dims)}), got {array.dtype} {array.shape} - at `{stem}`")
        for dim, size in zip(dims, array.shape, strict=True):
            if sizes.setdefault(dim, size) != size:
                raise BundleError(f"{where}: expected {dim} = {sizes[dim]} in ({', '.join(dims)}), got {array.shape} - at "
                                  f"`{stem}`; the files belong to different fits: fit again")
    _check_ids(fitted.ids, where)
    if not sizes["n"] or not 1 <= sizes["d"] <= 4096 or not 1 <= fitted.length <= 4096 or len(fitted.ages) > fitted.length:
        raise BundleError(f"{where}: expected at least one item, 1 to 4096 values a vector and events a history, and no "
                          f"more ages than events; got {sizes['n']}, {sizes['d']}, {fitted.length}, {len(fitted.ages)}")
    for stem in ("vectors", "trend", "near_weight", "words"):
        if not np.isfinite(getattr(fitted, stem)).all():
            raise BundleError(f"{where}: a number is not finite - at `{stem}`; fit again")
    if fitted.near.size and not -1 <= int(fitted.near.min()) <= int(fitted.near.max()) < sizes["n"]:
        raise BundleError(f"{where}: expected rows from -1 to {sizes['n'] - 1}, got {fitted.near.min()} to "
                          f"{fitted.near.max()} - at `near`; fit again")
    if (fitted.near_weight < 0).any() or (fitted.trend < 0).any() or any(not 0 <= a < np.inf for a in fitted.ages):
        raise BundleError(f"{where}: a weight is below zero - at `near_weight`, `trend` or `ages`; fit again")


def _check_ids(ids: Sequence[str], where: str) -> None:
    found: dict[str, int] = {}
    for row, one in enumerate(ids):
        if not 1 <= len(one) <= MAX_ID or not one.isprintable():
            raise BundleError(f"{where}: expected ids of 1 to {MAX_ID} printable characters, got {one[:40]!r} - at row {row}")
        if found.setdefault(one, row) != row:
            raise BundleError(f"{where}: the id {one[:40]!r} is there twice, at rows {found[one]} and {row}")
