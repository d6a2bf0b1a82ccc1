"""`aisle demo`: the whole job as people run it."""

from __future__ import annotations

import subprocess
import sys

from aisle.models.make import parts
from aisle.runtime.cli import main


def test_the_demo_runs_and_tells_the_truth(tmp_path):
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "demo", "--once", "--keep", str(tmp_path / "out")],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rows = [line for line in lines if ".png" in line]
    assert len(rows) == 6 + 2 * len(parts.DEFECTS)
    wrong = sum(line.endswith("WRONG") for line in rows)
    assert f"{len(rows) - wrong} of {len(rows)} right" in done.stdout
    assert wrong <= 3, done.stdout
    assert "4.8 %" in done.stdout and "13.9 %" in done.stdout and "Station page: http://127.0.0.1:" in done.stdout
    assert len(list((tmp_path / "out" / "heatmaps").glob("*.jpg"))) == len(rows)
    assert "Made a shop with 400 products." in lines and any(line.startswith("Shop page: http://127.0.0.1:") for line in lines)
    assert "non-slip" in done.stdout and "防滑" in done.stdout and "showing results for wireless" in done.stdout
    page = next(line for line in lines if line.startswith("Station page")).split()[-1]
    assert subprocess.run([sys.executable, "-c", f"import urllib.request; urllib.request.urlopen({page!r}, timeout=5)"],
                          capture_output=True).returncode != 0, "the server still runs"


def test_the_demo_never_clears_a_folder_that_is_not_its_own(tmp_path, capsys):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "precious.txt").touch()
    assert main(["demo", "--once", "--keep", str(tmp_path)]) == 2
    assert "not made by the demo" in capsys.readouterr().err and (tmp_path / "models" / "precious.txt").exists()
