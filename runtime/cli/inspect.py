"""`aisle inspect`: inspect pictures with a taught inspector, in this process or on a server."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..answered import named, noting
from ..codec import Payload, make_codec
from ..errors import AisleError, Invalid
from ..served import Served

TIMEOUT_S = 60


@dataclass(frozen=True)
class Inspected:
    """One file's outcome: what was told of it, or the sentence why not; the picture with heatmap where asked for."""

    file: Path
    told: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    picture: bytes = b""


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle inspect`."""
    parser.add_argument("name", help="the station's name")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures, or folders of pictures")
    parser.add_argument("--models", type=Path, default=Path("stations"), metavar="DIR",
                        help="folder of models (default: %(default)s)")
    parser.add_argument("--server", metavar="URL", help="ask this server instead (its token in AISLE_TOKEN)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write each picture with its heatmap here")


def run(args: argparse.Namespace) -> int:
    """0 where every part passes, 1 where one is rejected, 2 where a picture could not be inspected."""
    try:
        files = listed(args.files)
        if args.overlay:
            args.overlay.mkdir(parents=True, exist_ok=True)
        found = on_server(args, files) if args.server else asyncio.run(here(args, files))
        for one in found:
            if one.picture:
                (args.overlay / f"{one.file.stem}-heatmap.jpg").write_bytes(one.picture)
    except AisleError as error:
        print(f"aisle inspect: {error.sentence}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"aisle inspect: {error.filename or args.server or ''}: {error.strerror or error}", file=sys.stderr)
        return 2
    print(as_json(found) if args.json else table(found))
    if any(one.error for one in found):
        return 2
    return 1 if any(one.told["verdict"] != "pass" for one in found) else 0


def listed(files: list[Path]) -> list[Path]:
    """Folders replaced by their pictures."""
    from ..teaching import pictures
    found = [p for file in files for p in (pictures(file) if file.is_dir() else [file])]
    if not found:
        raise Invalid(f"no picture found in {', '.join(map(str, files))}")
    return found


# ---- in this process

@asynccontextmanager
async def opened(name: str, models: Path) -> AsyncIterator[Served]:
    """The newest version of a station, loaded as the server loads it."""
    from ...edge_devices.profile import load_profile
    from ..engine import Pool
    from ..pictures import PictureLimits, decoder
    from ..repository import Repository
    if not models.is_dir():
        raise Invalid(f"{models} is not a folder; name the folder of the models with --models DIR")
    device = load_profile("cpu")
    pool = Pool(max(2, device.threads))
    repository = Repository(models, device, pool, decode=decoder(PictureLimits()))
    try:
        await repository.load(name)
        yield repository.get(name)
    finally:
        await repository.close()
        pool.close()


async def here(args: argparse.Namespace, files: list[Path]) -> list[Inspected]:
    """Inspect one file after another in this process."""
    async with opened(args.name, args.models) as served:
        if served.job != "inspect":
            raise Invalid(f"'{args.name}' in {args.models} is no taught inspector but {served.platform}")
        return [await one_here(served, file, bool(args.overlay)) for file in files]


async def one_here(served: Served, file: Path, overlay: bool) -> Inspected:
    """Inspect one file with a loaded inspector."""
    codec, start = make_codec("inspect"), time.perf_counter()
    payload = Payload(file.read_bytes(), options={"overlay": "1"} if overlay else {})
    try:
        assert served.decode is not None
        request = codec.request(payload, served.decode)
        with noting() as variants:
            verdict = await served.answer(request)
        picture = codec.picture(verdict, payload)
    except AisleError as error:
        return Inspected(file, error=error.sentence)
    told = codec.answer(verdict)
    told["timings_ms"]["total"] = round((time.perf_counter() - start) * 1e3, 3)
    said = {"model": served.name, "version": served.version, **({"variant": named(variants)} if variants else {})}
    return Inspected(file, told | said, picture=picture[0] if picture else b"")


# ---- on a server

def on_server(args: argparse.Namespace, files: list[Path]) -> list[Inspected]:
    """Send one file after another to a server."""
    if not args.server.startswith(("http://", "https://")):
        raise Invalid(f"--server {args.server!r}: expected an address such as http://127.0.0.1:8000")
    url = f"{args.server.rstrip('/')}/v1/inspect/{quote(args.name, safe='')}"
    return [post(url, file, bool(args.overlay)) for file in files]


def post(url: str, file: Path, overlay: bool) -> Inspected:
    """Send one file; a refusal is this file's error, a server that cannot be reached is an OSError."""
    headers = {"Content-Type": "application/octet-stream", "Accept": "image/jpeg" if overlay else "application/json"}
    if token := os.environ.get("AISLE_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    query = "?overlay=1" if overlay else ""
    request = urllib.request.Request(url + query, data=file.read_bytes(), headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:
            body = reply.read()
            told = json.loads(reply.headers["Aisle-Verdict"] if overlay else body)
            return Inspected(file, told, picture=body if overlay else b"")
    except urllib.error.HTTPError as error:
        return Inspected(file, error=sentence_of(error.read()) or f"the server answered {error.code}")
    except urllib.error.URLError as error:
        raise OSError(None, f"no Aisle server answers ({error.reason})", url) from None


def sentence_of(body: bytes) -> str:
    """The `error` of a JSON body, or nothing."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    return str(told.get("error", "")) if isinstance(told, dict) else ""


# ---- telling

def as_json(found: list[Inspected]) -> str:
    """One object with one item for each file."""
    return json.dumps({"inspected": [{"file": str(one.file), **({"error": one.error} if one.error else one.told)}
                                     for one in found]}, indent=1)


def table(found: list[Inspected]) -> str:
    """One line for each file and a sum."""
    width = max(7, *(len(one.file.name) for one in found))
    lines = [f"{'picture':{width}}  verdict    score  threshold  regions      ms", *rows(found, width)]
    rejected = sum(one.told.get("verdict") == "reject" for one in found)
    failed = sum(bool(one.error) for one in found)
    return "\n".join([*lines, f"{len(found)} pictures: {len(found) - rejected - failed} pass, {rejected} reject"
                              + (f", {failed} could not be inspected" if failed else "")])


def rows(found: list[Inspected], width: int) -> Iterator[str]:
    """The table's lines."""
    for one in found:
        if one.error:
            yield f"{one.file.name:{width}}  ERROR    {one.error}"
            continue
        told = one.told
        yield (f"{one.file.name:{width}}  {told['verdict'].upper():7}  {told['score']:7.3f}  {told['threshold']:9.3f}  "
               f"{len(told['regions']):7}  {told['timings_ms']['total']:6.1f}")
