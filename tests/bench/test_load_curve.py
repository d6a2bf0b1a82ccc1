"""The picture of the sweep, and the rows that go with it."""

import math
import xml.etree.ElementTree as ET

from aisle.bench import peers
from aisle.bench.load_curve import LOADS, Point, picture, rows_of

MADE = {"Aisle": [Point(load, min(load, 1.0), 0.02) for load in LOADS],
        "other": [Point(load, 0.1, math.nan if load > 2 else 0.01 * 10 ** load) for load in LOADS]}


def test_the_picture_is_whole_and_names_everybody() -> None:
    root = ET.fromstring(picture(MADE, 0.06))
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 2 * len(MADE)
    counts = [len(line.get("points").split()) for line in lines]
    assert counts == [len(LOADS), len(LOADS), len(LOADS), len(LOADS) - 1], "a load without any answer has no p99"
    texts = {e.text for e in root.iter() if e.tag.endswith("text")}
    assert MADE.keys() <= texts and "deadline" in texts
    width, height = (float(n) for n in root.get("viewBox").split()[2:])
    for line in lines:
        for pair in line.get("points").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= width and 0 <= y <= height


def test_a_row_compares_the_same_load() -> None:
    (row,) = rows_of(MADE, 0.06)
    assert (row.peer, row.value, row.peer_value) == ("other", 1.0, 0.1) and "within 60 ms" in row.note


def test_every_peer_has_its_server() -> None:
    for peer in peers.PEERS.values():
        files = [word.split(":")[0].removesuffix(".py") for word in peer.command if "_server" in word]
        assert files and all((peers.SERVERS / f"{name}.py").is_file() for name in files)
    for path in peers.SERVERS.glob("*.py"):
        compile(path.read_text(), str(path), "exec")


def test_a_quick_run_makes_no_environment(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    assert "without --quick" in peers.prepare("mosec", True) and not list(tmp_path.iterdir())
