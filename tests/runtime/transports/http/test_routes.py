"""Routes through a real server: one map or several, live changes over a restart, damaged maps, deadlines."""

from __future__ import annotations

import http.client
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle.models.make import blocks_map

PAIR = {"from": {"node": 0}, "to": {"node": 3}}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("maps")
    blocks_map.make(folder, "town")
    return folder


@pytest.fixture(scope="module")
def town(launch: Callable[..., Any], maps: Path) -> Any:
    return launch(maps)


def test_the_only_map_needs_no_name(town: Any) -> None:
    for path in ("/v1/routes", "/v1/routes/town"):
        got = town.ask("POST", path, PAIR)
        assert got.status == 200 and got.json["cost_s"] == 192.72 and got.json["model"] == "town"
    assert town.ask("GET", "/v1/routes").json["stations"][0]["nodes"] == 400
    assert town.ask("GET", "/v1/routes/town").json["bounds"] == [43.72, 7.41, 43.739, 7.429]
    assert {"name": "routes", "stations": ["town"]} in town.ask("GET", "/v1").json["jobs"]


def test_errors_have_their_statuses(town: Any) -> None:
    assert "exchanged" in town.ask("POST", "/v1/routes", {"from": {"lat": 7.41, "lon": 43.72}, "to": {"node": 0}}).error
    assert town.ask("POST", "/v1/routes", b"{").status == 400
    missing = town.ask("POST", "/v1/routes/city", PAIR)
    assert missing.status == 404 and "aisle map build" in missing.error and "town" in missing.error
    assert town.ask("POST", "/v1/routes/town/teach", b"").status == 501
    assert town.ask("POST", "/v1/inspect", b"").status == 404


def test_answers_are_not_kept_for_the_page(town: Any) -> None:
    town.ask("POST", "/v1/routes", PAIR)
    assert town.ask("GET", "/v1/routes/town/recent").json == {"recent": []}


def test_numbers_over_http(town: Any) -> None:
    rows = np.array([[0, 3], [0, 399]], "<i4").tobytes()
    got = town.ask("POST", "/v1/routes?pairs=nodes", rows, {"Content-Type": "application/octet-stream"})
    assert got.status == 200 and got.headers["Content-Type"] == "application/octet-stream"
    assert struct.unpack_from("<qii", got.body)[1] == 2
    bare = town.ask("POST", "/v1/routes?pairs=nodes&paths=0", rows, {"Content-Type": "application/octet-stream"})
    assert struct.unpack_from("<qii", bare.body)[2] == 0 and bare.body[16:24] == got.body[16:24]


def test_a_deadline_that_cannot_be_met_is_refused(town: Any) -> None:
    late = town.ask("POST", "/v1/routes", PAIR, {"Aisle-Deadline-Ms": "0.001"})
    assert late.status in (503, 504) and "deadline" in late.error
    assert town.ask("POST", "/v1/routes", PAIR, {"Aisle-Deadline-Ms": "5000"}).status == 200


def test_several_maps_want_a_name(launch: Callable[..., Any], tmp_path: Path) -> None:
    blocks_map.make(tmp_path, "east", 4, 4)
    blocks_map.make(tmp_path, "west", 4, 4)
    server = launch(tmp_path)
    assert "2 stations answer routes; name one of them" in server.ask("POST", "/v1/routes", PAIR).error
    assert server.ask("POST", "/v1/routes/west", PAIR).status == 200


def test_changes_survive_a_kill(launch: Callable[..., Any], tmp_path: Path) -> None:
    blocks_map.make(tmp_path, "town", 4, 4)
    server = launch(tmp_path)
    shut = {"type": "update", "changes": [{"name": "dig", "do": "close", "edges": [0, 1, 24, 25, 26, 27]}]}
    assert server.ask("POST", "/v1/routes", shut).json["made"] == ["dig"]
    before = server.ask("POST", "/v1/routes", PAIR)
    server.process.kill()
    server.process.wait(20)
    again = launch(tmp_path)
    after = again.ask("POST", "/v1/routes", PAIR)
    assert (before.status, before.json.get("cost_s")) == (after.status, after.json.get("cost_s")) and after.status == 404
    assert "'dig'" in after.error
    assert again.ask("POST", "/v1/routes", {"type": "update", "drop": ["dig"]}).status == 200
    assert again.ask("POST", "/v1/routes", PAIR).json["cost_s"] == 192.72


@pytest.mark.parametrize("damage", ["truncated", "gone", "flipped"])
def test_a_damaged_map_is_refused_with_its_file(launch: Callable[..., Any], tmp_path: Path, damage: str) -> None:
    root = blocks_map.make(tmp_path, "town", 4, 4).root
    path = root / "edge_tail.npy"
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(data[:-3] if damage == "truncated" else data[:-3] + b"\xff" + data[-2:])
    server = launch(tmp_path, ready=False)
    for _ in range(200):
        said = server.ask("GET", "/healthz").json
        if "loaded" not in str(said["blockers"]):
            break
    assert "edge_tail.npy" in str(said["blockers"])
    assert "edge_tail.npy" in server.ask("POST", "/v1/routes/town", PAIR).error


def test_no_answer_is_stale_after_an_acknowledged_closure(town: Any) -> None:
    """Two clients ask while a third closes and opens: after each acknowledgement the next answer obeys it."""
    stop, wrong = threading.Event(), []

    def load() -> None:
        own = http.client.HTTPConnection(town.host, town.port, timeout=30)
        while not stop.is_set():
            town.ask("POST", "/v1/routes", PAIR, connection=own)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    own = http.client.HTTPConnection(town.host, town.port, timeout=30)
    for _ in range(25):
        shut = {"type": "update", "changes": [{"name": "jam", "do": "close", "edges": [0]}]}
        version = town.ask("POST", "/v1/routes", shut, connection=own).json["map_version"]
        got = town.ask("POST", "/v1/routes", PAIR, connection=own).json
        if 0 in got["edges"] or got["map_version"] < version:
            wrong.append(got)
        town.ask("POST", "/v1/routes", {"type": "update", "drop": ["jam"]}, connection=own)
        if town.ask("POST", "/v1/routes", PAIR, connection=own).json["cost_s"] != 192.72:
            wrong.append("not open again")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_same_as_tensors_of_the_open_inference_protocol(town: Any) -> None:
    """What speaks OIP, the local lane among it, asks with NODES and closes with CLOSE."""
    def infer(*inputs: dict[str, Any]) -> dict[str, Any]:
        got = town.ask("POST", "/v2/models/town/infer", {"inputs": list(inputs)})
        assert got.status == 200, got.body
        return {o["name"]: o["data"] for o in got.json["outputs"]}

    pair = {"name": "NODES", "datatype": "INT32", "shape": [2, 2], "data": [0, 3, 0, 399]}
    first = infer(pair)
    assert first["COST_MS"][0] == 192_720 and first["EDGES"][:3] == [0, 2, 4] and first["FIRST"][0] == 0
    jam = [{"name": "CLOSE", "datatype": "INT32", "shape": [1], "data": [2]},
           {"name": "CHANGE", "datatype": "BYTES", "shape": [1], "data": ["jam"]},
           {"name": "FOR_S", "datatype": "FP64", "shape": [1], "data": [60.0]}]
    shut = infer(*jam, pair)
    assert 2 not in shut["EDGES"] and shut["COST_MS"][0] > 192_720 and shut["VERSION"][0] > first["VERSION"][0]
    opened = infer({**jam[0], "shape": [0], "data": []}, jam[1], pair)
    assert opened["COST_MS"] == first["COST_MS"]
    assert "expected one of the inputs NODES" in town.ask("POST", "/v2/models/town/infer", {"inputs": []}).error
    about = town.ask("GET", "/v2/models/town").json
    assert about["platform"] == "aisle_routes" and [i["name"] for i in about["inputs"]][:2] == ["NODES", "PLACES"]
