"""The report as one HTML page with inline plots: nothing is loaded, so that it can be mailed and opened anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

COLOURS = ("#3569b8", "#c2571a", "#2f8f5b", "#8a4fb0", "#b3364a", "#6b7280", "#0e7c86", "#a3841b", "#d16ba5",
           "#47536b")
LABEL = 100.0, 13.0      # width and height of a variant's name in a plot
STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d5dbe3;--back:#fff;--band:#f4f6f9}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#394452;--back:#151a21;--band:#1d242d}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);margin:2rem auto;max-width:64rem;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px;white-space:nowrap}
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line)}th:first-child,td:first-child{text-align:left}
th.words{text-align:left}p.soft,small{color:var(--soft);font-size:13px}
th{color:var(--soft);font-weight:600}tr:nth-child(even) td{background:var(--band)}td.words{text-align:left;white-space:normal}
svg{display:block;max-width:100%;height:auto;margin:.6rem 0}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .soft{fill:var(--soft)}svg .axis{stroke:var(--line)}.no{color:#b3364a}.yes{color:#2f8f5b}
"""


def page(told: Mapping[str, Any]) -> str:
    """The whole page."""
    from .report import LEGEND, about, by_bundle
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in about(told))
    parts = [section(bundle, entries) for bundle, entries in by_bundle(told["entries"]).items()]
    legend = f"<p class=soft>{escape(LEGEND)}</p>"
    return (f"<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>Device report</title><style>{STYLE}</style></head><body><h1>Device report</h1><dl>{facts}</dl>"
            f"{''.join(parts)}{legend if parts else ''}{comparisons(told['rows'])}</body></html>\n")


def section(bundle: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """One bundle: its plots and its table."""
    good = [e for e in entries if not e["error"]]
    single = [e for e in good if e["batch"] == 1]
    return (f"<h2>{escape(bundle)}</h2>{bars(single)}{lines(good)}{scatter(single)}<div class=wide>{table(entries)}</div>")


def colour(ways: Sequence[str], way: str) -> str:
    """The same colour for the same variant in every plot of a bundle."""
    return COLOURS[sorted(set(ways)).index(way) % len(COLOURS)]


def bars(entries: Sequence[Mapping[str, Any]]) -> str:
    """Latency of one row by variant: the median as a bar, the 99th percentile as a whisker."""
    if not entries:
        return ""
    top = max(e["p99_ms"] for e in entries)
    ways, height, scale = [e["way"] for e in entries], 26 * len(entries) + 34, 520 / top
    made = []
    for i, e in enumerate(entries):
        y, middle, end = 24 + 26 * i, 130 + scale * e["p50_ms"], 130 + scale * e["p99_ms"]
        ink = colour(ways, e["way"])
        made.append(
            f"<text x=0 y={y + 14}>{escape(e['way'])}</text>"
            f"<rect x=130 y={y} width={max(1, middle - 130):.1f} height=18 rx=2 fill='{ink}'>"
            f"<title>{e['p50_ms']:.3f} ms, p99 {e['p99_ms']:.3f} ms</title></rect>"
            f"<path d='M{middle:.1f} {y + 9}H{end:.1f}m0 -5v10' fill=none stroke='{ink}'/>"
            f"<text class=soft x={end + 6:.1f} y={y + 14}>{e['p50_ms']:.2f} ms</text>")
    return (f"<svg viewBox='0 0 760 {height}' width=760 role=img aria-label='latency by variant'>"
            f"<text class=soft x=0 y=12>one row: median, and up to the 99th percentile</text>{''.join(made)}</svg>")


def lines(entries: Sequence[Mapping[str, Any]]) -> str:
    """Throughput by batch, a line for each variant."""
    batches = sorted({e["batch"] for e in entries})
    if len(batches) < 2:
        return ""
    ways = sorted({e["way"] for e in entries})
    top = max(e["rows_per_s"] for e in entries)
    step, low = 520 / (len(batches) - 1), 190
    made = [f"<path class=axis d='M60 20V{low}H600' fill=none /><text class=soft x=0 y=12>rows per second, by batch</text>"
            f"<text class=soft x=0 y=32>{top:.3g}</text><text class=soft x=0 y={low}>0</text>"]
    made += [f"<text class=soft x={60 + step * i:.0f} y={low + 18} text-anchor=middle>{b}</text>"
             for i, b in enumerate(batches)]
    for k, way in enumerate(ways):
        points = [(60 + step * batches.index(e["batch"]), low - 165 * e["rows_per_s"] / top, e)
                  for e in entries if e["way"] == way]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y, _ in points)
        made.append(f"<path d='M{path}' fill=none stroke='{colour(ways, way)}' stroke-width=2 />")
        made += [f"<circle cx={x:.1f} cy={y:.1f} r=4 fill='{colour(ways, way)}'><title>{escape(way)} x{e['batch']}: "
                 f"{e['rows_per_s']:.1f} rows/s</title></circle>" for x, y, e in points]
        made.append(f"<rect x=630 y={20 + 22 * k} width=12 height=12 fill='{colour(ways, way)}'/>"
                    f"<text x=648 y={31 + 22 * k}>{escape(way)}</text>")
    return (f"<svg viewBox='0 0 780 {max(low + 26, 40 + 22 * len(ways))}' width=780 role=img aria-label='throughput by batch'>"
            f"{''.join(made)}</svg>")


def scatter(entries: Sequence[Mapping[str, Any]]) -> str:
    """Error against FP32 over latency: down and left is better."""
    known = [e for e in entries if e.get("max_error") is not None]
    if len(known) < 2:
        return ""
    ways = [e["way"] for e in entries]
    far, wrong = max(e["p50_ms"] for e in known), max(e["max_error"] for e in known) or 1.0
    made = ["<path class=axis d='M60 36V206H600' fill=none /><text class=soft x=0 y=12>largest error of the outputs' span, "
            f"over ms of one row</text><text class=soft x=0 y=50>{wrong:.1%}</text><text class=soft x=0 y=206>0</text>"
            f"<text class=soft x=600 y=224 text-anchor=end>{far:.3g} ms</text>"]
    taken: list[tuple[float, float]] = []
    for e in known:
        x, y = 60 + 500 * e["p50_ms"] / far, 206 - 160 * e["max_error"] / wrong
        label = clear(x + 8, y - 6, taken)
        made.append(f"<circle cx={x:.1f} cy={y:.1f} r=5 fill='{colour(ways, e['way'])}'><title>{escape(e['way'])}: "
                    f"{e['p50_ms']:.3f} ms, {e['max_error']:.3%}</title></circle>"
                    f"<text x={x + 8:.1f} y={label:.1f}>{escape(e['way'])}</text>")
    return f"<svg viewBox='0 0 760 232' width=760 role=img aria-label='error over latency'>{''.join(made)}</svg>"


def clear(x: float, y: float, taken: list[tuple[float, float]]) -> float:
    """The height at or above `y` at which a label beginning at `x` covers none that is `taken`; it is taken then."""
    while any(abs(x - left) < LABEL[0] and abs(y - base) < LABEL[1] for left, base in taken):
        y -= LABEL[1]
    taken.append((x, y))
    return y


def table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Every figure of a bundle."""
    from .report import COLUMNS, cell
    shown = [c for c in COLUMNS if any(e.get(c[0]) is not None for e in entries)]
    head = "".join(f"<th>{escape(title)}</th>" for _, title, _ in shown)
    rows = []
    for e in entries:
        if e["error"]:
            words = f"<td class=words colspan={len(shown) - 2}>does not work: {escape(e['error'])}</td>"
            rows.append(f"<tr><td>{escape(e['way'])}</td><td>{e['batch']}</td>{words}</tr>")
        else:
            rows.append("<tr>" + "".join(f"<td>{escape(cell(e, key, form))}</td>" for key, _, form in shown) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def comparisons(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was compared in turns or has a goal."""
    from .report import COMPARED, compared, figure
    found = compared(rows)
    if not found:
        return ""
    made = []
    for r in found:
        met = {True: "<td class=yes>yes</td>", False: "<td class=no>no</td>", None: "<td>-</td>"}[r["met"]]
        said = f"<br><small>{escape(r['note'])}</small>" if r.get("note") else ""
        made.append(f"<tr><td class=words>{escape(r['case'])}{said}</td><td>{escape(figure(r['value'], '.4g', r['unit']))}</td>"
                    f"<td class=words>{escape(r['peer'] or '-')}</td><td>{figure(r['peer_value'], '.4g')}</td>"
                    f"<td>{figure(r['ratio'], '.3f')}</td><td class=words>{escape(r['goal'] or '-')}</td>{met}</tr>")
    return (f"<h2>{escape(COMPARED)}</h2><div class=wide><table><thead><tr><th>case</th><th>value</th><th class=words>peer</th>"
            "<th>peer's value</th><th>ratio</th><th class=words>goal</th><th>met</th></tr></thead>"
            f"<tbody>{''.join(made)}</tbody></table></div>")
