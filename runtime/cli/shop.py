"""`aisle shop`: make a shop of a catalogue, check a catalogue, export or erase what is kept of a visitor."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from ..errors import Failed, Invalid
from .outcome import finish


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle shop make`, `check` and `visitor`."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    make_ = commands.add_parser("make", help="make a shop of a catalogue", description="Make a bundle that answers "
                                "POST /v1/recommend of a catalogue (csv or JSON lines).")
    make_.add_argument("file", type=Path, metavar="CATALOGUE", help="csv with a header, or JSON lines")
    make_.add_argument("--out", type=Path, required=True, metavar="MODELS/NAME",
                       help="the shop's folder in the folder of models; its next version is written there")
    make_.add_argument("--fit", type=Path, metavar="FOLDER", help="a recommender that `aisle recommend fit` made (a version)")
    make_.add_argument("--currency", default="", metavar="CNY", help="of the prices, for questions that name one")
    make_.add_argument("--skip-broken", action="store_true", help="leave broken lines out (they are named) instead of refusing")
    make_.add_argument("--history", choices=("memory", "disk", "nothing"), default="memory",
                       help="where visits are kept that come with a visitor's name (default: %(default)s)")
    make_.add_argument("--retention-days", type=float, default=30.0, metavar="N", help="of history on the disk (default: 30)")
    check_ = commands.add_parser("check", help="check a catalogue", description="Read a catalogue and name its broken lines.")
    check_.add_argument("file", type=Path, metavar="CATALOGUE", help="csv with a header, or JSON lines")
    visitor_ = commands.add_parser("visitor", help="export or erase a visitor", description="Ask a running server for what it "
                                   "keeps of a visitor, or have it erased. The name is read from standard input, so that it "
                                   "stands in no list of processes.")
    visitor_.add_argument("do", choices=("export", "erase"))
    visitor_.add_argument("--server", default="http://127.0.0.1:8000", metavar="URL", help="the server (default: %(default)s)")
    visitor_.add_argument("--shop", default="", metavar="NAME", help="the shop, where the server has several")
    visitor_.add_argument("--token-file", type=Path, metavar="FILE", help="file with the server's access token")
    for one in (make_, check_, visitor_):
        one.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 2 with a sentence where it could not be."""
    work = {"make": make, "check": check, "visitor": visitor}[args.action]
    return finish(f"shop {args.action}", args, lambda: work(args))


def make(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Read the catalogue and write the next version of the bundle, whole or not at all."""
    from ...models.shop.make import make_shop
    from ...models.shop.read import read_items
    from ..versions import next_version
    name, version = args.out.name, next_version(args.out.parent, args.out.name, "recommend")
    if not 0 < args.retention_days <= 3660:
        raise Invalid(f"--retention-days: expected more than 0 and at most 3660, got {args.retention_days:g}")
    items, faults = read_items(args.file, skip_broken=args.skip_broken)
    privacy = {"history": args.history} | ({"retention_days": args.retention_days} if args.history == "disk" else {})
    args.out.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=args.out))
    try:
        make_shop(items, part, name, version, fit_folder(args.fit), privacy, args.currency)
        part.rename(args.out / version)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    (args.out / version).chmod(0o755)
    told = {"name": name, "version": version, "path": str(args.out / version), "items": len(items), "left_out": faults}
    lines = [f"Shop '{name}' version {version} lies in {args.out / version}: {len(items)} items, "
             f"{'with' if args.fit else 'without'} a fitted recommender.",
             *(f"left out: {fault}" for fault in faults), f"Serve it: aisle serve --models {args.out.parent}"]
    return told, "\n".join(lines)


def fit_folder(folder: Path | None) -> Path | None:
    """The folder of a recommender's newest version, where its name alone was given."""
    if folder is None or (folder / "bundle.toml").is_file():
        return folder
    versions = [p for p in folder.glob("*") if p.name.isdigit() and (p / "bundle.toml").is_file()]
    if not versions:
        raise Invalid(f"--fit {folder}: there is no recommender; expected what `aisle recommend fit` wrote")
    return max(versions, key=lambda p: int(p.name))


def check(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """What a catalogue holds; ShopError names its broken lines."""
    from ...models.shop.catalogue import Catalogue
    snapshot = Catalogue.read(args.file).now()
    facets = {name: len(values) for name, values in snapshot.facets.items()}
    told = {"items": len(snapshot), "categories": len(snapshot.categories) - 1, "brands": len(snapshot.brands) - 1,
            "facets": facets}
    return told, (f"{len(snapshot)} items in {told['categories']} categories of {told['brands']} brands; facets: "
                  + (", ".join(f"{name} ({count})" for name, count in facets.items()) or "none"))


def visitor(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Ask the server."""
    name = sys.stdin.readline().strip()
    if not name:
        raise Invalid("expected the visitor's name on standard input")
    url = f"{args.server.rstrip('/')}/v1/visitor{'/' + args.shop if args.shop else ''}"
    headers = {"Content-Type": "application/json"}
    if args.token_file is not None:
        headers["Authorization"] = f"Bearer {args.token_file.read_text().splitlines()[0].strip()}"
    asked = urllib.request.Request(url, json.dumps({"do": args.do, "visitor": name}).encode(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            told = json.load(answer)
    except urllib.error.HTTPError as error:
        said = json.loads(error.read() or b"{}").get("error", error.reason)
        raise Failed(f"{args.server} answers {error.code}: {said}") from None
    except (urllib.error.URLError, TimeoutError) as error:
        raise Failed(f"{args.server} cannot be asked: {getattr(error, 'reason', error)}; is the server running?") from None
    told = {key: told[key] for key in ("do", "where", "count", "events") if key in told}
    done = f"{told['count']} events {'are kept' if args.do == 'export' else 'were erased'} ({told['where']})"
    return told, "\n".join([done, *(f"{one['kind']} {one['item']}" for one in told.get("events", ()))])
