"""Two device reports side by side: `python -m aisle.bench compare A B`, each a report.json or the folder that holds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIGURES = (("p50_ms", "p50 ms", True), ("p99_ms", "p99 ms", True), ("rows_per_s", "rows/s", False), ("memory_mb", "MiB", True),
           ("watts", "W", True))


class ReportError(ValueError):
    """A file that is no device report; the text says which and why."""


def read(path: Path) -> dict[str, Any]:
    """The report in a file or a folder. ReportError where it is none."""
    file = path / "report.json" if path.is_dir() else path
    try:
        told = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} cannot be read as a report: {error}; name the folder that `--out` wrote") from None
    if not isinstance(told, dict) or told.get("bench") != "device" or not isinstance(told.get("entries"), list):
        raise ReportError(f"{file} is no report of the bench `device`; make one with python -m aisle.bench device --out DIR")
    return told


def compare(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Cells of both by case: the figures of each and the ratio second / first; and what only one of them has."""
    left, right = ({e["case"]: e for e in told["entries"]} for told in (first, second))
    rows = []
    for case in [c for c in left if c in right]:
        a, b = left[case], right[case]
        row: dict[str, Any] = {"case": case, "errors": [a["error"], b["error"]]}
        for key, _, _ in FIGURES:
            one, two = a.get(key), b.get(key)
            if not a["error"] and not b["error"] and one and two:
                row[key] = [one, two, two / one]
        rows.append(row)
    return {"devices": [name(first), name(second)], "rows": rows, "only_first": [c for c in left if c not in right],
            "only_second": [c for c in right if c not in left]}


def name(told: Mapping[str, Any]) -> str:
    """A report's device in words."""
    facts = told["facts"]
    return f"{facts['machine']['model'] or 'unknown'} ({facts['profile']}, {told['when'][:10]})"


def text(found: Mapping[str, Any]) -> str:
    """The comparison as a table; a ratio above 1 in speed is to the second's favour, and says how many times."""
    lines = [f"A: {found['devices'][0]}", f"B: {found['devices'][1]}", "",
             f"{'case':<40} {'figure':<8} {'A':>11} {'B':>11} {'B against A':>22}"]
    for row in found["rows"]:
        if any(row["errors"]):
            where = "A" if row["errors"][0] else "B"
            lines.append(f"{row['case']:<40} does not work on {where}: {row['errors'][0] or row['errors'][1]}")
            continue
        for key, title, less in FIGURES:
            if key in row:
                one, two, ratio = row[key]
                better = 1 / ratio if less else ratio
                words = "the same" if abs(better - 1) < 0.005 else (
                    f"{better:.2f} times {'better' if better > 1 else 'as good'}")
                lines.append(f"{row['case']:<40} {title:<8} {one:>11.3f} {two:>11.3f} {words:>22}")
    lines += [f"only in A: {case}" for case in found["only_first"]] + [f"only in B: {case}" for case in found["only_second"]]
    return "\n".join(lines)
