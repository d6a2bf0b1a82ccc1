"""A finished report as files: report.json, report.md and one report.html that needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .page import page

COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("way", "variant", "{}"), ("batch", "batch", "{}"), ("p50_ms", "p50 ms", "{:.3f}"), ("p90_ms", "p90 ms", "{:.3f}"),
    ("p99_ms", "p99 ms", "{:.3f}"), ("cpu_ms", "CPU ms", "{:.3f}"), ("rows_per_s", "rows/s", "{:.1f}"),
    ("memory_mb", "MiB", "{:.1f}"), ("open_s", "open s", "{:.2f}"), ("build_s", "engine s", "{:.1f}"),
    ("watts", "W", "{:.1f}"), ("hottest_c", "C", "{:.0f}"), ("max_error", "largest error", "{:.2%}"),
    ("agreement", "verdicts agree", "{:.2%}"),
)

COMPARED = "Comparisons: times measured in turns in one process, verdicts on real pictures"
MET = {True: "yes", False: "no", None: "-"}
LEGEND = (
    "p50, p90 and p99 ms: time by the clock of one run of so many rows, which half, 90 % and 99 % of the runs stay below. "
    "CPU ms: processor time of all threads for one run. MiB: what opening and running it added to a process. Largest error: "
    "the largest difference from FP32 on made inputs, as a share of the span of the output. Verdicts agree: the share of "
    "held-out pictures with FP32's verdict, as `aisle model quantize` saw them; a dash is what was not measured.")


def write(told: Mapping[str, Any], folder: Path) -> list[Path]:
    """The three files; the folder is made where it lacks."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"report.json": json.dumps(told, indent=1) + "\n", "report.md": markdown(told), "report.html": page(told)}
    for name, text in texts.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in texts]


def about(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the report was made on, as (name, text)."""
    facts, machine = told["facts"], told["facts"]["machine"]
    size = f"{machine['cores']} cores, {machine['memory_mb']} MiB"
    return [("device", f"{machine['model'] or 'unknown'} ({machine['arch']}), {size}"),
            ("profile", f"{facts['profile']}, {facts['threads']} threads"), ("arithmetic", facts["arithmetic"]),
            ("load", busy(facts.get("load"), machine["cores"])),
            ("power mode", facts["power_mode"] or "not told by this machine"),
            ("sensors", sensors(facts)),
            ("packages", ", ".join(f"{name} {version}" for name, version in facts["packages"].items())),
            ("backends", "; ".join(f"{name}: {text}" for name, text in facts["backends"].items())),
            ("made", f"{told['when']} at commit {told['commit']}")]


def sensors(facts: Mapping[str, Any]) -> str:
    """Whether the tables can have power and temperature, and where those come from."""
    found = [f"{title} by {', '.join(facts[key])}" for key, title in (("watts", "power"), ("temperatures_c", "temperature"))
             if facts.get(key)]
    return "; ".join(found) or "this machine tells neither power nor temperature, so the tables have none"


def compared(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows that compare with something: a ratio, or a goal that was met or missed, with what there is to say of it."""
    return [row for row in rows if row["ratio"] is not None or row["goal"] is not None]


def figure(value: float | None, form: str, unit: str = "") -> str:
    """A number with its unit; a dash where there is none."""
    return "-" if value is None else f"{value:{form}} {unit}".strip()


def busy(load: float | None, cores: int) -> str:
    """Whether the machine did something else meanwhile: then times by the clock say little, and CPU times still do."""
    if load is None:
        return "not told"
    if load <= 1.5 * cores:
        return f"{load:g} on {cores} cores"
    return (f"{load:g} on {cores} cores: it was busy with other work, so that latency, throughput and power are those of a "
            "shared machine; the CPU times hold")


def cell(entry: Mapping[str, Any], key: str, form: str) -> str:
    """One value as text; a dash where it was not measured."""
    value = entry.get(key)
    return "-" if value is None else form.format(value)


def by_bundle(entries: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The entries of each bundle, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry["bundle"], []).append(entry)
    return found


def markdown(told: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = ["# Device report", "", *(f"- **{name}**: {text}" for name, text in about(told)), ""]
    for bundle, entries in by_bundle(told["entries"]).items():
        shown = [c for c in COLUMNS if any(e.get(c[0]) is not None for e in entries)]
        lines += [f"## {bundle}", "", "| " + " | ".join(title for _, title, _ in shown) + " |", "|" + "---|" * len(shown)]
        for entry in entries:
            if entry["error"]:
                lines.append(f"| {entry['way']} | {entry['batch']} | does not work: {entry['error']} |")
            else:
                lines.append("| " + " | ".join(cell(entry, key, form) for key, _, form in shown) + " |")
        lines.append("")
    if told["entries"]:
        lines += [LEGEND, ""]
    found = compared(told["rows"])
    if found:
        lines += [f"## {COMPARED}", "", "| case | value | peer | peer's value | ratio | goal | met | |", "|" + "---|" * 8]
        lines += [f"| {r['case']} | {figure(r['value'], '.4g', r['unit'])} | {r['peer'] or '-'} | "
                  f"{figure(r['peer_value'], '.4g')} | {figure(r['ratio'], '.3f')} | {r['goal'] or '-'} | {MET[r['met']]} | "
                  f"{r.get('note') or ''} |" for r in found]
    return "\n".join(lines) + "\n"
