"""The command line of the benches: `python -m aisle.bench NAME [--data DIR] [--only CASE] [--quick] [--json]`."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

from .report import Options, Refused, keep, summary, table

BENCHES = {
    "kernels": "aisle.bench.kernels:run",
    "overhead": "aisle.bench.overhead:run",
    "inspection": "aisle.bench.inspection:run",
    "footprint": "aisle.bench.footprint:run",
    "routes": "aisle.bench.routes:run",
    "device": "aisle.bench.device:run",
    "gpu": "aisle.bench.gpu:run",
    "load": "aisle.bench.load:run",
    "lane": "aisle.bench.lane:run",
    "soak": "aisle.bench.soak:run",
    "mixed": "aisle.bench.mixed:run",
    "recommend": "aisle.bench.recommend:run",
}


def parser() -> argparse.ArgumentParser:
    """The options that all benches share."""
    made = argparse.ArgumentParser(prog="python -m aisle.bench", description=__doc__)
    made.add_argument("name", nargs="?", choices=[*sorted(BENCHES), "compare"])
    made.add_argument("reports", nargs="*", type=Path, metavar="REPORT", help="compare: two reports of the bench device")
    made.add_argument("--list", action="store_true", help="name every bench")
    made.add_argument("--data", type=Path, help="folder with real data; cases that need it are left out without it")
    made.add_argument("--only", metavar="CASE", help="run the cases whose name contains this")
    made.add_argument("--models", type=Path, metavar="DIR", help="device: measure the bundles of this folder")
    made.add_argument("--out", type=Path, metavar="DIR", help="device: write report.json, report.md and report.html there")
    made.add_argument("--quick", action="store_true", help="end within a minute")
    made.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run one bench; 0 when it ran, 2 for a wrong call."""
    options = parser().parse_args(arguments)
    if options.list or options.name is None:
        print("\n".join(sorted(BENCHES)))
        return 0 if options.list else 2
    if options.name == "compare":
        return compare_reports(options)
    if options.models is not None and not options.models.is_dir():
        print(f"--models {options.models}: expected a folder, found none; name another", file=sys.stderr)
        return 2
    if options.data is not None and not options.data.is_dir():
        print(f"--data {options.data}: expected a folder, found none; leave it out or name another", file=sys.stderr)
        return 2
    module, attribute = BENCHES[options.name].split(":")
    run = getattr(import_module(module), attribute)
    try:
        rows = list(run(Options(data=options.data, only=options.only, quick=options.quick, models=options.models,
                                out=options.out)))
    except Refused as error:
        print(f"bench {options.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"bench {options.name}: stopped; nothing was kept", file=sys.stderr)
        return 130
    result = summary(options.name, rows)
    if options.only is None and not options.quick:
        print(f"kept as {keep(result)}", file=sys.stderr)
    print(json.dumps(result) if options.json else table(rows))
    return 0


def compare_reports(options: argparse.Namespace) -> int:
    """Two device reports side by side; 2 with a sentence where they are not two."""
    from .device.compare import ReportError, compare, read, text
    if len(options.reports) != 2:
        print(f"compare: expected two reports, got {len(options.reports)}", file=sys.stderr)
        return 2
    try:
        found = compare(*(read(path) for path in options.reports))
    except ReportError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found) if options.json else text(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
