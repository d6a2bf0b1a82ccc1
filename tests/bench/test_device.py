"""The device report: files that hold what was measured, a page that needs nothing, two reports side by side."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aisle.bench.device import compare, page, report
from aisle.bench.device.sweep import Entry, cells_of
from aisle.bench.report import Options
from aisle.models.bundle import Bundle, TensorSpec
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime.variant_check import Measured


def entry(way="onnx fp32", batch=1, p50=10.0, error="", bundle="net"):
    seen = Measured(way, batch, error, 50, p50, p50 * 1.1, p50 * 1.3, 1e3 * batch / p50, p50, 40.0, 0.2, "none")
    return Entry(bundle, seen, 1, 0.0 if "fp32" in way else 0.01, 0.001, 0.99).as_json()


def told(*entries, rows=()):
    machine = {"model": "<b>Board & Co</b>", "arch": "aarch64", "cores": 4, "memory_mb": 3900}
    facts = {"machine": machine, "profile": "arm-cpu", "threads": 4, "arithmetic": "INT8 is fast here", "power_mode": "",
             "packages": {"numpy": "2"}, "backends": {"onnx": "works"}}
    return {"bench": "device", "when": "2026-11-25T10:00:00", "commit": "abc", "facts": facts, "entries": list(entries),
            "rows": list(rows)}


RATIO = {"case": "int8 net", "value": 3.0, "unit": "ms", "peer": "onnx fp32", "peer_value": 9.0, "ratio": 3.0, "goal": ">= 2.9",
         "met": True}
WHOLE = told(entry(), entry(batch=4, p50=38.0), entry("onnx int8", p50=3.0), entry("onnx int8", 4, 11.0),
             entry("openvino bf16", error="it has <none>"), rows=(RATIO,))


class Tags(HTMLParser):
    """Counts tags, and notes whatever would be loaded from elsewhere."""

    def __init__(self):
        super().__init__()
        self.count, self.loads = {}, []

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.loads += [(tag, k, v) for k, v in attrs if k in ("src", "href", "srcset", "data")]


def test_the_page_stands_alone_and_shows_every_plot():
    tags = Tags()
    tags.feed(page.page(WHOLE))
    assert tags.loads == [] and "script" not in tags.count and "link" not in tags.count
    assert tags.count["svg"] == 3 and tags.count["table"] == 2 and tags.count["circle"] >= 4 + 2


def test_what_comes_from_outside_is_escaped():
    made = page.page(WHOLE)
    assert "<b>Board" not in made and "&lt;b&gt;Board &amp; Co" in made and "it has &lt;none&gt;" in made


def test_the_files_hold_the_same_figures(tmp_path):
    assert [p.name for p in report.write(WHOLE, tmp_path / "new" / "folder")] == ["report.json", "report.md", "report.html"]
    assert json.loads((tmp_path / "new/folder/report.json").read_text()) == WHOLE
    text = (tmp_path / "new/folder/report.md").read_text()
    assert "| onnx int8 | 1 | 3.000 |" in text and "does not work: it has <none>" in text and "| 3.000 | >= 2.9 | yes |" in text


@pytest.mark.parametrize("entries", [(), (entry(),), (entry(error="no"),)])
def test_a_thin_report_is_still_a_page(entries):
    assert page.page(told(*entries)).endswith("</html>\n") and report.markdown(told(*entries))


def test_two_reports_side_by_side():
    faster = told(entry(p50=5.0), entry("onnx int8", p50=4.0), entry("tensorrt int8", p50=1.0))
    found = compare.compare(WHOLE, faster)
    rows = {row["case"]: row for row in found["rows"]}
    assert rows["net onnx fp32 batch 1"]["p50_ms"] == [10.0, 5.0, 0.5]
    assert found["only_second"] == ["net tensorrt int8 batch 1"] and "net onnx fp32 batch 4" in found["only_first"]
    words = compare.text(found)
    assert "2.00 times better" in words and "0.75 times as good" in words and "only in B: net tensorrt int8 batch 1" in words


def test_names_in_a_plot_do_not_cover_each_other():
    close = told(entry(p50=10.0), entry("openvino fp32", p50=10.2), entry("onnx int8", p50=9.9), entry("onnx small", p50=1.0))
    made = page.scatter(close["entries"])
    labels = [(float(x), float(y)) for x, y in re.findall(r"<text x=([\d.]+) y=([\d.]+)>", made)]
    assert len(labels) == 4
    for i, (x, y) in enumerate(labels):
        assert all(abs(x - a) >= page.LABEL[0] or abs(y - b) >= page.LABEL[1] for a, b in labels[:i])


def test_a_goal_that_was_missed_without_a_ratio_is_shown_with_its_reason(tmp_path):
    missed = {"case": "real mobile", "value": None, "unit": "", "peer": None, "peer_value": None, "ratio": None,
              "goal": ">= 99%", "met": False, "note": "INT8 is <refused>"}
    plain = {**missed, "case": "net onnx fp32", "value": 1.0, "goal": None, "met": None, "note": None}
    whole = told(entry(), rows=(RATIO, missed, plain))
    assert "real mobile<br><small>INT8 is &lt;refused&gt;</small></td><td>-</td>" in page.page(whole)
    assert "| real mobile | - | - | - | - | >= 99% | no | INT8 is <refused> |" in report.markdown(whole)
    assert "net onnx fp32" not in page.comparisons(whole["rows"])


def test_the_figures_are_explained_and_missing_sensors_are_said():
    assert "what was not measured" in page.page(WHOLE) and "what was not measured" in report.markdown(WHOLE)
    assert "neither power nor temperature" in dict(report.about(WHOLE))["sensors"]
    assert report.sensors({"watts": {"VDD_IN": 5.0}, "temperatures_c": {"tj": 40.0}}) == "power by VDD_IN; temperature by tj"


def test_equal_figures_are_the_same_and_not_better():
    words = compare.text(compare.compare(WHOLE, WHOLE))
    assert "the same" in words and "better" not in words and "as good" not in words


def test_a_busy_machine_is_said():
    assert "the CPU times hold" in report.busy(19.0, 2) and report.busy(1.2, 2) == "1.2 on 2 cores"
    assert report.busy(None, 2) == "not told"


def call(*words):
    done = subprocess.run([sys.executable, "-m", "aisle.bench", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_the_command_compares_files_and_folders(tmp_path):
    report.write(WHOLE, tmp_path / "a")
    report.write(told(entry(p50=5.0)), tmp_path / "b")
    code, out, _ = call("compare", tmp_path / "a", tmp_path / "b" / "report.json", "--json")
    assert code == 0 and json.loads(out)["rows"][0]["p50_ms"][2] == 0.5
    code, _, said = call("compare", tmp_path / "a")
    assert code == 2 and "expected two reports, got 1" in said
    (tmp_path / "c.json").write_text("{}")
    code, _, said = call("compare", tmp_path / "a", tmp_path / "c.json")
    assert code == 2 and "is no report of the bench `device`" in said and "Traceback" not in said


def null(root: Path) -> None:
    folder = root / "m" / "1"
    folder.mkdir(parents=True)
    spec = TensorSpec("x", "float32", (4,))
    (folder / "a").write_bytes(b"")
    made = TensorSpec("y", "float32", (4,))
    write_bundle_toml(Bundle("m", "1", "model", folder, (spec,), (made,), {("null", "fp32"): "a"}, 2), folder)


def test_a_folder_of_models_is_measured_cell_by_cell(tmp_path):
    null(tmp_path / "models")
    code, out, said = call("device", "--models", tmp_path / "models", "--quick", "--json", "--out", tmp_path / "report")
    rows = json.loads(out)["rows"]
    assert code == 0 and {r["case"] for r in rows} == {"m null fp32 batch 1", "m null fp32 batch 2"}
    made = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [e["batch"] for e in made["entries"]] == [1, 2] and made["facts"]["machine"]["cores"] >= 1
    assert "report.html" in said


def test_a_folder_that_is_not_there_is_said(tmp_path):
    code, _, said = call("device", "--models", tmp_path / "absent")
    assert code == 2 and "--models" in said and "expected a folder" in said


def test_a_place_that_cannot_be_written_is_said_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    null(tmp_path / "models")
    code, out, said = call("device", "--models", tmp_path / "models", "--quick", "--out", tmp_path / "file")
    assert code == 2 and out == "" and f"--out {tmp_path / 'file'}: nothing can be written there (File exists)" in said


def test_nothing_to_measure_is_said_and_leaves_no_report(tmp_path):
    (tmp_path / "models" / "torn").mkdir(parents=True)
    (tmp_path / "models" / "torn" / "bundle.toml").write_text("x = [")
    code, _, said = call("device", "--models", tmp_path / "models", "--quick", "--out", tmp_path / "out")
    assert code == 2 and "'torn' is left out:" in said and "it holds no model with a network" in said
    null(tmp_path / "models")
    code, _, said = call("device", "--models", tmp_path / "models", "--quick", "--only", "nobody")
    assert code == 2 and "no variant has 'nobody' in its name" in said and not list((tmp_path / "out").iterdir())


def test_only_what_is_asked_for_is_measured():
    bundle = Bundle("m", "1", "model", Path("."), files={("null", "fp32"): "a", ("null", "int8"): "a"}, max_batch=8)
    from aisle.edge_devices.profile import DeviceProfile
    cells = cells_of(bundle, DeviceProfile("d", backends=("null",)), Options(only="m null int8"))
    assert [(way.name, batch) for way, batch in cells] == [("null int8", 1), ("null int8", 4), ("null int8", 8)]


def test_a_bench_that_is_stopped_says_so_without_a_traceback(monkeypatch, capsys):
    from aisle.bench import __main__ as command

    def stopped(options):
        raise KeyboardInterrupt
        yield
    monkeypatch.setitem(command.BENCHES, "device", "aisle.bench.device:stopped")
    monkeypatch.setattr("aisle.bench.device.stopped", stopped, raising=False)
    assert command.main(["device", "--quick"]) == 130 and "bench device: stopped" in capsys.readouterr().err
