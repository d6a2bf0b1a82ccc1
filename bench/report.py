"""A row of a measurement, and how a run is printed and kept."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Refused(ValueError):
    """A bench that cannot do what was asked; the text is a sentence for the person who asked."""


@dataclass(frozen=True)
class Options:
    """What the command line asked of a bench: data folder (or None), one case (or None), a short run."""

    data: Path | None = None
    only: str | None = None
    quick: bool = False
    models: Path | None = None       # a folder of bundles to measure in place of made ones
    out: Path | None = None          # where a bench that writes a report puts it

    def wants(self, case: str) -> bool:
        """False where `--only` names something else."""
        return self.only is None or self.only in case


@dataclass(frozen=True)
class Row:
    """One figure. `goal` is the text of the goal or None; `met` is None where the case could not run (see `note`)."""

    case: str
    metric: str
    value: float | None
    unit: str = ""
    spread: float | None = None
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None
    note: str | None = None


def commit() -> str:
    """The commit this tree is at, with `+` where files differ from it."""
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if git("status", "--porcelain", "-uno") else "")


def device() -> dict[str, Any]:
    """What this machine is, as far as timing is concerned."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "machine": platform.machine(),
            "python": platform.python_version()}


def summary(bench: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The JSON object of the bench contract."""
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"bench": bench, "commit": commit(), "device": device(), "when": when, "rows": [asdict(r) for r in rows]}


def keep(result: dict[str, Any]) -> Path:
    """Write a finished run to bench/results/ and return its path."""
    folder = ROOT / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result['bench']}-{result['when'][:19].replace(':', '')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def table(rows: Sequence[Row]) -> str:
    """The rows as plain text, one line each."""
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"
    head = ("case", "metric", "value", "unit", "peer", "peer value", "ratio", "goal", "met")
    lines = [head] + [(r.case, r.metric, number(r.value), r.unit, r.peer or "-", number(r.peer_value), number(r.ratio),
                       r.goal or "-", {True: "yes", False: "NO", None: "-"}[r.met]) for r in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(text + [f"note ({r.case}): {r.note}" for r in rows if r.note])
