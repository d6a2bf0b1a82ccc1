"""`aisle recommend fit`: a recommender from a file of interactions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.recommend.format import ROLE, history
from ..errors import Failed, Invalid
from .outcome import finish

if TYPE_CHECKING:
    from ...models.bundle import Bundle
    from ...models.recommend.fit import Result
    from ...models.recommend.interactions import Interactions

LEAST_LIKE = {"fp32": 0.9999, "int8": 0.98}     # cosine between what an encoder answers and what was trained

def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle recommend fit`."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fit_ = commands.add_parser("fit", help="fit a recommender on interactions", description="Fit a recommender on who looked "
                               "at what, and measure it on the last item of each user. Needs the extra `train` (PyTorch).")
    fit_.add_argument("file", type=Path, metavar="INTERACTIONS",
                      help="csv or parquet with user, item, time; or lines `user item` in order of time; also in a zip")
    fit_.add_argument("--items", type=Path, metavar="CATALOGUE",
                      help="csv or JSON lines of the shop's items, so that new ones are placed by their text")
    fit_.add_argument("--out", type=Path, required=True, metavar="MODELS/NAME",
                      help="the recommender's folder in the folder of models; its next version is written there")
    fit_.add_argument("--seed", type=int, default=1, metavar="N", help="the same seed gives the same model (default: 1)")
    fit_.add_argument("--epochs", type=int, metavar="N", help="at most so many passes over the data")
    fit_.add_argument("--refit", nargs="?", choices=("valid", "all"), const="all", default="no",
                      help="afterwards fit again with the items that were held out: valid (the last stays to be measured) or "
                      "all (default when given; the figures are then those from before)")
    fit_.add_argument("--core", type=int, default=0, metavar="N",
                      help="keep only users and items with at least N events, as published measurements do")
    fit_.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """0 when the recommender lies there, 2 with a sentence where it could not be fitted."""
    return finish(f"recommend {args.action}", args, lambda: fit(args), args.out)


def fit(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Read, fit, and write the next version of the bundle whole or not at all."""
    from ...models.recommend import network
    from ...models.recommend.fit import fit as fit_data
    from ...models.recommend.read import read
    from ..versions import next_version
    options = chosen(args)
    name, version = args.out.name, next_version(args.out.parent, args.out.name, ROLE)
    if reason := network.missing():
        raise Invalid(reason)
    data = read(args.file)
    notes = list(data.told)
    data = filtered(data, args.core, notes)
    texts = {} if args.items is None else catalogue(args.items, data, notes)
    with Bar(args.json) as bar:
        result = fit_data(data, options, refit=args.refit, texts=texts, progress=bar.show)
    bundle = written(result, args.out.parent, name, version, notes)
    told = {"name": name, "version": version, "path": str(bundle.root), "notes": notes, "report": dict(result.report),
            "mb": round(sum(path.stat().st_size for path in bundle.root.iterdir()) / 1e6, 2)}
    return told, in_words(told, args)


def chosen(args: argparse.Namespace) -> Any:
    """The options of the network; Invalid where a number is out of range."""
    from ...models.recommend.network import Options
    limits = {"seed": (0, 2**31 - 1), "epochs": (1, 1000), "core": (0, 1000)}
    for key, (least, most) in limits.items():
        value = getattr(args, key)
        if value is not None and not least <= value <= most:
            raise Invalid(f"--{key} {value}: expected a whole number from {least} to {most}")
    return Options(seed=args.seed) if args.epochs is None else Options(seed=args.seed, epochs=args.epochs)


def filtered(data: Interactions, least: int, notes: list[str]) -> Interactions:
    """Only users and items with `least` events."""
    from ...models.recommend.interactions import core
    if least <= 1:
        return data
    kept = core(data, least)
    if not len(kept.user):
        raise Invalid(f"--core {least}: no user and item has {least} events; give a smaller number")
    notes.append(f"{len(kept.users):,} of {len(data.users):,} users and {len(kept.items):,} of {len(data.items):,} items have "
                 f"at least {least} events; the others were left out")
    return kept


def catalogue(path: Path, data: Interactions, notes: list[str]) -> Mapping[str, str]:
    """What is written about each item, by id; notes say where catalogue and interactions do not meet."""
    from ...models.shop.item import said
    from ...models.shop.read import read_items
    items, faults = read_items(path, skip_broken=True)
    if len(faults) * 20 > len(items):
        raise Invalid(f"{path} has {len(faults)} broken lines of {len(faults) + len(items)}: {'; '.join(faults[:20])}; correct "
                      "them and fit again")
    notes += [f"left out of {path}: {fault}" for fault in faults[:20]]
    texts = {item.id: said(item) for item in items}
    known = sum(one in texts for one in data.items)
    if not known:
        raise Invalid(f"none of the {len(data.items):,} items of the interactions is in {path} (the first is "
                      f"{data.items[0][:40]!r}, there it is {items[0].id[:40]!r}); give the catalogue of the same shop")
    if known < len(data.items):
        notes.append(f"{len(data.items) - known:,} items of the interactions are not in {path}; they are fitted, and not shown "
                     "by a shop that does not have them")
    if len(texts) > known:
        notes.append(f"{len(texts) - known:,} items of {path} were never looked at; they are placed by their text")
    return texts


def written(result: Result, models: Path, name: str, version: str, notes: list[str]) -> Bundle:
    """The bundle, whole or not at all, after its encoders have answered as trained."""
    from ...models.inspect.publish import publish
    from ...models.recommend.format import described, write_files
    encoders = result.encoders()
    bundle = described(result.fitted, encoders, name, version)

    def write(folder: Path) -> tuple[str, ...]:
        files = write_files(result.fitted, encoders, folder)
        prove(replace(bundle, root=folder), result, notes)
        return files
    return publish(bundle, write, models)


def prove(bundle: Bundle, result: Result, notes: list[str]) -> None:
    """Run the encoders as the server will, and compare with the sum that was trained; Failed where they differ."""
    from ...edge_devices.profile import load_profile
    from ...models.recommend.encoder import encode
    from ..backends import make_backend
    backend = make_backend("onnx")
    if reason := backend.missing():
        notes.append(f"the encoders were written and not tried out: {reason}")
        return
    fitted = result.fitted
    given = np.zeros((8, fitted.length, fitted.depth), np.float32)
    for row in range(8):
        rows = np.random.default_rng(row).integers(len(fitted.ids), size=1 + row * fitted.length // 7)
        given[row] = history(fitted, fitted.vectors[rows])
    wanted = encode(result.weights, given)
    for key, file in bundle.files.items():
        session = backend.open(backend.describe(replace(bundle, files={key: file})), load_profile("cpu"))
        try:
            found = [answer(session, one) for one in given]
        finally:
            session.close()
        least = min(float(w @ f / (np.linalg.norm(w) * np.linalg.norm(f) + 1e-12)) for w, f in zip(wanted, found, strict=True))
        if not least > LEAST_LIKE[key[1]]:
            raise Failed(f"the {key[1]} encoder answers unlike what was trained (cosine {least:.4f}, expected over "
                         f"{LEAST_LIKE[key[1]]}); nothing was written. Report this with the version of ONNX Runtime")


def answer(session: Any, one: np.ndarray) -> np.ndarray:
    """The taste of one history."""
    row = session.row(0)
    row["history"][...] = one
    session.run(1)
    return np.array(row["taste"])


class Bar:
    """A progress bar on standard error; none where JSON is printed."""

    def __init__(self, quiet: bool) -> None:
        from tqdm import tqdm
        self._bar: Any = tqdm(total=100, desc="fit", leave=False, file=sys.stderr, disable=quiet,
                              bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}")

    def __enter__(self) -> Bar:
        return self

    def show(self, part: float, text: str) -> None:
        """The part that is done, 0 to 1, and how it goes."""
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(100 * part - self._bar.n)

    def __exit__(self, *problem: object) -> None:
        self._bar.close()


def in_words(told: Mapping[str, Any], args: argparse.Namespace) -> str:
    """What was fitted, how good it is, and what to do next."""
    report = told["report"]
    when = {"no": "not fitted again on them", "valid": "fitted again with the validation items",
            "all": "before it was fitted again on everything"}[report["refit"]]
    lines = [f"Recommender '{told['name']}' version {told['version']} lies in {told['path']} ({told['mb']} MB): "
             f"{report['events']:,} events of {report['users']:,} users with {report['items']:,} items, {report['epochs']} "
             f"epochs, {report['cpu_s'] + report.get('refit_cpu_s', 0):.0f} s of one core.",
             f"HR@10 {report['hit']:.4f}, NDCG@10 {report['ndcg']:.4f} ({when}). {report['protocol'].capitalize()}.",
             *(f"Look at this: {note}" for note in told["notes"]), f"Serve it: aisle serve --models {args.out.parent}"]
    return "\n".join(lines)
