"""`aisle demo`: the whole job on made pictures, through a real server, with nothing to download."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import AisleError, Failed, Invalid
from ..teaching import Taught, advice, promises, teach_station
from . import demo_shop
from .inspect import Inspected, post
from .teach import Bar

STATION = "flange"
GOOD_SHOWN = 20
UNSEEN_GOOD = 6
EACH_DEFECT = 2
MARK = ".aisle-demo"       # in every folder that the demo made, so that it never clears another
READY_S = 60


@dataclass(frozen=True)
class Part:
    """A picture on disk and what it shows: "good" or the kind of defect."""

    file: Path
    kind: str


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle demo`."""
    parser.add_argument("--once", action="store_true", help="end after the table instead of serving on")
    parser.add_argument("--port", type=int, default=0, help="the server's port (default: a free one)")
    parser.add_argument("--keep", type=Path, default=Path("demo_out"), metavar="DIR",
                        help="folder for pictures, heatmaps and the taught station (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """0 when the whole job ran, 2 with a sentence where it could not."""
    try:
        prepare(args.keep)
        shown, unseen = make(args.keep)
        tell(teach(shown, args.keep / "models"))
        print(f"Made a shop with {demo_shop.make(args.keep / 'models')} products.", flush=True)
        with server(args.keep / "models", args.port) as address:
            found = ask(address, unseen, args.keep / "heatmaps")
            print(table(found))
            print(summary(found))
            print(f"Pictures with heatmaps: {(args.keep / 'heatmaps').resolve()}")
            print(demo_shop.show(address))
            print(f"Station page: {address}/station/{STATION}", flush=True)
            if not args.once:
                wait()
    except AisleError as error:
        print(f"aisle demo: {error.sentence}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"aisle demo: {error.filename or args.keep}: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


def prepare(folder: Path) -> None:
    """An empty folder of our own; one that holds anything else is refused."""
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"{folder} exists and was not made by the demo; name another with --keep DIR")
    for name in ("good", "unseen", "heatmaps", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    (folder / MARK).touch()


def make(folder: Path) -> tuple[list[Path], list[Part]]:
    """Draw the good parts to teach with, and unseen good and defective ones."""
    from tqdm import tqdm

    from ...models.make import parts
    from ..pictures import encode_png
    unseen = [("good", n) for n in range(UNSEEN_GOOD)] + [(k, n) for k in parts.DEFECTS for n in range(EACH_DEFECT)]
    shown: list[Path] = []
    drawn: list[Part] = []
    with tqdm(total=GOOD_SHOWN + len(unseen), desc="draw parts", leave=False, file=sys.stderr) as bar:
        for seed in range(GOOD_SHOWN):
            shown.append(folder / "good" / f"good-{seed:02}.png")
            shown[-1].write_bytes(encode_png(parts.good(seed)))
            bar.update()
        for i, (kind, number) in enumerate(unseen):
            seed = 1000 + i    # far from the seeds that were shown
            picture = parts.good(seed) if kind == "good" else parts.defective(seed, kind)[0]
            drawn.append(Part(folder / "unseen" / f"{kind}-{number + 1}.png", kind))
            drawn[-1].file.write_bytes(encode_png(picture))
            bar.update()
    return shown, drawn


def teach(shown: list[Path], models: Path) -> Taught:
    """Teach the station from the good parts, with a progress bar."""
    with Bar() as bar:
        return teach_station(STATION, shown, [], models, progress=bar.show)


def tell(taught: Taught) -> None:
    """What was learned and what it promises."""
    average, bound = promises(taught)
    print(f"Taught station '{taught.station}' with {taught.good} good parts. Promise: {average}; {bound}.")
    print(f"Better: {advice(taught)}.", flush=True)


@contextmanager
def server(models: Path, port: int) -> Iterator[str]:
    """The real server as a process of its own; yields its address once it is ready, and stops it at the end."""
    command = [sys.executable, "-P", "-m", "aisle.runtime", "serve", "--models", str(models), "--port", str(port),
               "--log-level", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        address = next((w for w in words if w.startswith(("http://", "https://"))), None)
        if address is None:
            raise Failed("the server did not start; its reason stands above")
        wait_ready(address)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            print("the server did not stop in 20 s and was killed", file=sys.stderr)
            process.kill()
            process.wait()


def wait_ready(address: str) -> None:
    """Return once /healthz says ready; Failed with its reasons where it does not become so."""
    until, why = time.monotonic() + READY_S, "it does not answer"
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5):
                return
        except urllib.error.HTTPError as error:
            why = "; ".join(json.loads(error.read()).get("blockers", []))
        except urllib.error.URLError as error:
            why = str(error.reason)
        time.sleep(0.05)
    raise Failed(f"the server was not ready after {READY_S} s: {why}")


def ask(address: str, unseen: list[Part], heatmaps: Path) -> list[tuple[Part, Inspected]]:
    """Send every unseen part to the server and keep its heatmap."""
    found = []
    for part in unseen:
        one = post(f"{address}/v1/inspect/{STATION}", part.file, overlay=True)
        if one.error:
            raise Failed(f"{part.file.name}: {one.error}")
        (heatmaps / f"{part.file.stem}-{one.told['verdict']}.jpg").write_bytes(one.picture)
        found.append((part, one))
    return found


def right(part: Part, one: Inspected) -> bool:
    """True where a good part passed or a defective one was rejected."""
    return (one.told["verdict"] == "pass") == (part.kind == "good")


def table(found: list[tuple[Part, Inspected]]) -> str:
    """One line for each picture."""
    lines = [f"{'picture':20}  {'it is':14}  verdict    score  threshold      ms"]
    for part, one in found:
        told = one.told
        lines.append(f"{part.file.name:20}  {part.kind.replace('_', ' '):14}  {told['verdict'].upper():7}  "
                     f"{told['score']:7.3f}  {told['threshold']:9.3f}  {told['timings_ms']['total']:6.1f}"
                     + ("" if right(part, one) else "  WRONG"))
    return "\n".join(lines)


def summary(found: list[tuple[Part, Inspected]]) -> str:
    """How many were right, and which kinds were not."""
    good = [pair for pair in found if pair[0].kind == "good"]
    bad = [pair for pair in found if pair[0].kind != "good"]
    missed = Counter(part.kind.replace("_", " ") for part, one in bad if not right(part, one))
    text = (f"{sum(right(*p) for p in found)} of {len(found)} right: {sum(right(*p) for p in good)} of {len(good)} good "
            f"parts passed, {sum(right(*p) for p in bad)} of {len(bad)} defective ones were rejected")
    return text + (f"; missed: {', '.join(f'{n} x {kind}' for kind, n in missed.items())}." if missed else ".")


def wait() -> None:
    """Serve on until Ctrl-C."""
    print("Serving until Ctrl-C.", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()
