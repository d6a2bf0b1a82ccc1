"""The stock load generator runs against the server; tests/prepare.sh fetches it."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parents[4] / ".venv" / "perf_analyzer"
MISSING = TOOL / "missing"
WHY = (MISSING.read_text().strip() if MISSING.is_file() else "" if (TOOL / "perf_analyzer").is_file()
       else "perf_analyzer is not here; bash tests/prepare.sh fetches it")
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY)
# One short window each: what counts is that the tool's questions are answered, not what it measures.
SHORT = ("--measurement-interval", "500", "--stability-percentage", "999", "--max-trials", "3")


def analyze(server, model: str, *options: str, load: tuple[str, ...] = ("--concurrency-range", "2")) -> str:
    """Run the tool; everything it wrote. Its own exit code must be 0 and it may complain of nothing but missing GPUs."""
    done = subprocess.run([str(TOOL / "perf_analyzer"), "-m", model, "-u", f"{server.host}:{server.port}", *SHORT, *load,
                           *options], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "LD_LIBRARY_PATH": str(TOOL)})
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    heard = re.sub(r"WARNING: Unable to parse 'nv_gpu_\w+' metric\.", "", text)
    assert "Unable to" not in heard and "rror" not in heard, text
    return text


def stats(server, model: str) -> dict[str, Any]:
    return server.ask("GET", f"/v2/models/{model}/stats").json["model_stats"][0]


def throughput(text: str) -> float:
    found = re.search(r"throughput: ([\d.]+) infer/sec", text)
    assert found is not None, text
    return float(found[1])


def test_plain_requests_and_the_servers_own_figures(server) -> None:
    before = stats(server, "identity")["inference_count"]
    text = analyze(server, "identity")
    assert throughput(text) > 0 and stats(server, "identity")["inference_count"] > before
    assert re.search(r"overhead \d+ usec \+ queue \d+ usec \+ compute input \d+ usec", text), "it read the statistics"


def test_batches(server) -> None:
    before = {s["batch_size"] for s in stats(server, "simple")["batch_stats"]}
    assert throughput(analyze(server, "simple", "-b", "8", load=("--concurrency-range", "1"))) > 0
    assert 8 in {s["batch_size"] for s in stats(server, "simple")["batch_stats"]}, before


def test_a_batch_over_the_models_limit_is_told_to_the_user(server) -> None:
    with pytest.raises(AssertionError, match="batch"):
        analyze(server, "simple", "-b", "9")


def test_system_shared_memory(server) -> None:
    assert throughput(analyze(server, "simple", "--shared-memory", "system")) > 0
    assert server.ask("GET", "/v2/systemsharedmemory/status").json == [], "it takes its regions back"


def test_a_rate_of_asynchronous_requests(server) -> None:
    text = analyze(server, "identity", "--async", load=("--request-rate-range", "100"))
    assert throughput(text) > 0


@pytest.mark.parametrize(("model", "shape"), [("one_text", ()), ("text", ("--shape", "INPUT0:2,4"))])
def test_strings(server, model: str, shape: tuple[str, ...]) -> None:
    assert throughput(analyze(server, model, "--string-length", "20", *shape)) > 0


def test_metrics_are_collected(server, tmp_path: Path) -> None:
    report = tmp_path / "report.csv"
    text = analyze(server, "identity", "--collect-metrics", "--metrics-url", f"{server.host}:{server.port}/metrics",
                   "--metrics-interval", "100", "--verbose-csv", "-f", str(report))
    assert throughput(text) > 0
    rows = list(csv.DictReader(report.open()))
    assert len(rows) == 1 and float(rows[0]["Inferences/Second"]) > 0
