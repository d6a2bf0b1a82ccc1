"""Repository, settings and shared memory, as the wire sees them."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle.models.make import onnx_models

LENGTH = "Inference-Header-Content-Length"


@pytest.fixture
def shm() -> Iterator[str]:
    """A shared memory object of 4096 counting bytes; its key."""
    path = Path("/dev/shm") / f"aisle-test-{uuid.uuid4().hex}"
    path.write_bytes(np.arange(4096, dtype="u1").tobytes())
    yield "/" + path.name
    path.unlink(missing_ok=True)


@contextlib.contextmanager
def region(server, key: str, name: str = "r", **body: Any) -> Iterator[None]:
    answer = server.ask("POST", f"/v2/systemsharedmemory/region/{name}/register",
                        {"key": key, "offset": 0, "byte_size": 4096, **body})
    assert answer.status == 200 and answer.body == b"", answer.body
    try:
        yield
    finally:
        assert server.ask("POST", f"/v2/systemsharedmemory/region/{name}/unregister").status == 200


def through(name: str, size: int, **more: Any) -> dict[str, Any]:
    return {"parameters": {"shared_memory_region": name, "shared_memory_byte_size": size, **more}}


def infer(server, source: dict[str, Any], wish: dict[str, Any]):
    body = {"inputs": [{"name": "INPUT0", "shape": [2, 4], "datatype": "UINT8", **source}],
            "outputs": [{"name": "OUTPUT0", **wish}]}
    return server.ask("POST", "/v2/models/identity_uint8/infer", body)


# ---- shared memory

def test_tensors_travel_through_shared_memory(server, shm: str) -> None:
    with region(server, shm):
        answer = infer(server, through("r", 8, shared_memory_offset=3), through("r", 100, shared_memory_offset=1000))
        assert answer.json["outputs"] == [{"name": "OUTPUT0", "datatype": "UINT8", "shape": [2, 4]}], answer.body
        assert Path("/dev/shm" + shm).read_bytes()[1000:1008] == bytes(range(3, 11))
        answer = infer(server, through("r", 8), {"parameters": {"binary_data": False}})
        assert answer.json["outputs"][0]["data"] == list(range(8))


@pytest.mark.parametrize(("source", "wish", "status", "text"), [
    (through("x", 8), {}, 404, "Unable to find shared memory region: 'x'"),
    ({"parameters": {"shared_memory_region": "r"}}, {}, 400, "lacks 'shared_memory_byte_size'"),
    ({"parameters": {"shared_memory_region": 5, "shared_memory_byte_size": 8}}, {}, 400, "expected a string"),
    (through("r", 8, shared_memory_offset=4096), {}, 400, "Invalid offset for shared memory region: 'r'"),
    (through("r", 8, shared_memory_offset=4092), {}, 400, "Invalid offset + byte size for shared memory region: 'r'"),
    (through("r", 2**63), {}, 400, "Invalid offset + byte size for shared memory region: 'r'"),
    (through("r", 2**64), {}, 400, "to be a non-negative integer"),
    (through("r", 7), {}, 400, "input byte size mismatch for input 'INPUT0'"),
    (through("r", 8, binary_data_size=8), {}, 400, "But set 'binary_data_size' 'shared_memory_region'"),
    (through("r", 8), through("r", 7), 400, "shared memory size specified with the request for output 'OUTPUT0' (7 bytes) "
                                            "should be at least 8 bytes to hold the results"),
    (through("r", 8), through("r", 8, binary_data=True), 400, "together with binary_data"),
    (through("r", 8), through("r", 8, classification=1), 400, "together with classification"),
])
def test_wrong_use_of_regions(server, shm: str, source: Any, wish: Any, status: int, text: str) -> None:
    with region(server, shm):
        answer = infer(server, source, wish)
    assert answer.status == status and text in answer.error, answer.body


def test_a_truncated_object_does_not_kill_the_server(server, shm: str) -> None:
    with region(server, shm):
        os.truncate("/dev/shm" + shm, 0)
        assert "truncated" in infer(server, through("r", 8), {}).error
        answer = infer(server, {"data": [0] * 8}, through("r", 8))
        assert answer.status == 400 and "truncated" in answer.error
    assert server.process.poll() is None


def test_registering(server, shm: str) -> None:
    with region(server, shm.strip("/"), "plain", offset=10, byte_size=20):
        assert server.ask("GET", "/v2/systemsharedmemory/region/plain/status").json == [
            {"name": "plain", "key": shm.strip("/"), "offset": 10, "byte_size": 20}]
        answer = server.ask("POST", "/v2/systemsharedmemory/region/plain/register", {"key": shm, "byte_size": 1})
        assert answer.status == 400 and answer.error == "shared memory region 'plain' already in manager"
    answer = server.ask("GET", "/v2/systemsharedmemory/region/plain/status")
    assert answer.status == 404 and answer.error == "Unable to find system shared memory region: 'plain'"
    assert server.ask("POST", "/v2/systemsharedmemory/region/plain/unregister").status == 200


@pytest.mark.parametrize(("body", "text"), [
    ({"key": "/absent-aisle", "byte_size": 1}, "Unable to open shared memory region: '/absent-aisle'"),
    ({"key": "/../etc/passwd", "byte_size": 1}, "Unable to open"), ({"key": "x"}, "'byte_size' (an integer)"),
    ({"byte_size": 1}, "'key' (a string)"), ({"key": "x", "byte_size": 1.5}, "an integer"),
    ({"key": "x", "byte_size": True}, "an integer"), (b"[", "failed to parse"), (b'{"key":"\\ud800","byte_size":1,"a":NaN}',
                                                                              "failed to parse"),
])
def test_wrong_registrations(server, body: Any, text: str) -> None:
    answer = server.ask("POST", "/v2/systemsharedmemory/region/r/register", body)
    assert answer.status == 400 and text in answer.error


def test_unregister_all_spares_other_connections(server, shm: str) -> None:
    mine, theirs = server.connect(), server.connect()
    body = {"key": shm, "byte_size": 16}

    def names() -> set[str]:
        return {r["name"] for r in server.ask("GET", "/v2/systemsharedmemory/status").json}

    server.ask("POST", "/v2/systemsharedmemory/region/mine/register", body, connection=mine)
    server.ask("POST", "/v2/systemsharedmemory/region/theirs/register", body, connection=theirs)
    server.ask("POST", "/v2/systemsharedmemory/region/line/register", body, {"Aisle-Owner": "line-4"}, connection=mine)
    assert server.ask("POST", "/v2/systemsharedmemory/unregister", connection=mine).status == 200
    assert names() == {"theirs", "line"}
    server.ask("POST", "/v2/systemsharedmemory/unregister", headers={"Aisle-Owner": "line-4"})
    assert names() == {"theirs"}, "regions outlive the connection that made them; a label works from any"
    theirs.close()
    for _ in range(100):
        server.ask("POST", "/v2/systemsharedmemory/unregister", connection=mine)
        if not names():
            break
    assert names() == set(), "what a closed connection left behind goes with the next sweep"
    mine.close()


def test_cuda_shared_memory_is_refused_but_never_in_the_way(server) -> None:
    assert server.ask("POST", "/v2/cudasharedmemory/unregister").status == 200
    assert server.ask("POST", "/v2/cudasharedmemory/region/r/unregister").status == 200
    assert server.ask("GET", "/v2/cudasharedmemory/status").json == []
    assert server.ask("GET", "/v2/cudasharedmemory/region/r/status").status == 404
    answer = server.ask("POST", "/v2/cudasharedmemory/region/r/register",
                        {"raw_handle": {"b64": ""}, "device_id": 0, "byte_size": 1})
    assert answer.status == 400 and answer.error == ("failed to register CUDA shared memory region: 'r', GPUs not "
                                                     "supported")


# ---- repository

def test_index(server) -> None:
    items = server.ask("POST", "/v2/repository/index").json
    assert {"name": "simple", "version": "1", "state": "READY"} in items
    assert server.ask("POST", "/v2/repository/index", {"ready": True}).json == items
    assert server.ask("POST", "/v2/repository/index", {"ready": 1}).status == 400
    answer = server.ask("POST", "/v2/repository/other/index")
    assert answer.status == 501 and "other" in answer.error


def test_load_and_unload(server) -> None:
    folder = server.models / "coming" / "1"
    folder.mkdir(parents=True)
    onnx_models.identity(folder / "model.onnx", (4,), "uint8")
    assert server.ask("POST", "/v2/repository/models/coming/load", {}).status == 200
    assert server.ask("GET", "/v2/models/coming/ready").status == 200
    answer = server.ask("POST", "/v2/repository/models/coming/unload", {"parameters": {"unload_dependents": False}})
    assert answer.status == 200 and answer.body == b""
    assert server.ask("GET", "/v2/models/coming/ready").status == 503
    assert server.ask("POST", "/v2/models/coming/infer", {"inputs": []}).status == 404
    states = [i["state"] for i in server.ask("POST", "/v2/repository/index").json if i["name"] == "coming"]
    assert states == ["UNAVAILABLE"]


def test_a_failed_load_keeps_the_old_version_serving(server) -> None:
    folder = server.models / "turning" / "1"
    folder.mkdir(parents=True)
    onnx_models.identity(folder / "model.onnx", (4,), "uint8")
    assert server.ask("POST", "/v2/repository/models/turning/load").status == 200
    (folder / "new").write_bytes(b"broken")
    (folder / "new").replace(folder / "model.onnx")
    answer = server.ask("POST", "/v2/repository/models/turning/load")
    assert answer.status == 400 and "failed to load 'turning'" in answer.error
    body = {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "UINT8", "data": [1, 2, 3, 4]}]}
    assert server.ask("POST", "/v2/models/turning/infer", body).json["outputs"][0]["data"] == [1, 2, 3, 4]
    assert server.ask("POST", "/v2/repository/models/turning/unload").status == 200


@pytest.mark.parametrize(("path", "body", "status", "text"), [
    ("nobody/load", {}, 404, "failed to load 'nobody'"),
    ("nobody/unload", {}, 404, "nobody"),
    ("simple/load", {"parameters": {"file:1/model.onnx": "QUJD", "config": "{}"}}, 501, "files are not accepted"),
    ("simple/load", {"parameters": {"surprise": 1}}, 400, "unexpected parameter 'surprise'"),
    ("simple/load", {"parameters": []}, 200, ""),
    ("simple/load", {"parameters": [1]}, 400, "expected an object"),
    ("simple/load", b"{", 400, "failed to parse"),
    ("simple/unload", {"parameters": {"unload_dependents": 1}}, 400, "unload_dependents"),
])
def test_what_load_and_unload_refuse(server, path: str, body: Any, status: int, text: str) -> None:
    answer = server.ask("POST", f"/v2/repository/models/{path}", body)
    assert answer.status == status
    if status != 200:
        assert text in answer.error
    assert server.ask("GET", "/v2/models/simple/ready").status == 200


# ---- settings

TRACE = {"trace_level": ["OFF"], "trace_rate": "1000", "trace_count": "-1", "log_frequency": "0", "trace_file": "",
         "trace_mode": "triton"}


def test_trace_settings(server) -> None:
    assert server.ask("GET", "/v2/trace/setting").json == TRACE
    changed = server.ask("POST", "/v2/models/simple/trace/setting", {"trace_level": ["TIMESTAMPS"], "trace_rate": 5}).json
    assert changed == {**TRACE, "trace_level": ["TIMESTAMPS"], "trace_rate": "5"}
    assert server.ask("GET", "/v2/trace/setting").json == TRACE, "a model's settings are its own"
    back = server.ask("POST", "/v2/models/simple/trace/setting", {"trace_level": None, "trace_rate": None}).json
    assert back == TRACE
    assert server.ask("GET", "/v2/models/nobody/trace/setting").status == 404


@pytest.mark.parametrize(("body", "status"), [
    ({"trace_level": ["LOUD"]}, 400), ({"trace_level": []}, 400), ({"trace_rate": "0"}, 400), ({"trace_rate": "x"}, 400),
    ({"trace_count": "-2"}, 400), ({"surprise": 1}, 400), ({"trace_file": "/tmp/x"}, 501), ({"trace_level": [[]]}, 400),
    ({"trace_mode": "opentelemetry"}, 501), ({"trace_rate": "2", "log_frequency": "-1"}, 400)])
def test_wrong_trace_settings_change_nothing(server, body: dict[str, Any], status: int) -> None:
    answer = server.ask("POST", "/v2/trace/setting", body)
    assert answer.status == status and answer.error
    assert server.ask("GET", "/v2/trace/setting").json == TRACE


@pytest.mark.parametrize(("body", "status"), [
    ({"log_info": 1}, 400), ({"log_verbose_level": -1}, 400), ({"log_verbose_level": True}, 400),
    ({"log_format": "XML"}, 400), ({"log_warnings": True}, 400), ({"log_file": "/tmp/x"}, 501)])
def test_wrong_logging_settings_change_nothing(server, body: dict[str, Any], status: int) -> None:
    before = server.ask("GET", "/v2/logging").json
    answer = server.ask("POST", "/v2/logging", {"log_info": False, **body} if status == 501 else body)
    assert answer.status == status and answer.error
    assert server.ask("GET", "/v2/logging").json == before


def test_settings_take_effect(launch, tmp_path_factory, capfd) -> None:
    models = tmp_path_factory.mktemp("models")
    (models / "m" / "1").mkdir(parents=True)
    onnx_models.identity(models / "m" / "1" / "model.onnx", (4,), "uint8")
    server = launch(models)
    body = {"id": "traced-one", "inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "UINT8", "data": [1] * 4}]}

    def log_of(request: Any) -> str:
        capfd.readouterr()
        request()
        return capfd.readouterr().err

    load = lambda: server.ask("POST", "/v2/repository/models/m/load")  # noqa: E731
    assert " INFO aisle.repository: model 'm'" in log_of(load)
    assert server.ask("POST", "/v2/logging", {"log_info": False}).json["log_info"] is False
    assert "INFO" not in log_of(load)
    server.ask("POST", "/v2/logging", {"log_info": True, "log_format": "ISO8601"})
    line = next(x for x in log_of(load).splitlines() if "INFO aisle.repository" in x)
    assert line[10] == "T" and line.split()[0].endswith("Z")

    ask = lambda: server.ask("POST", "/v2/models/m/infer", body)  # noqa: E731
    assert "traced-one" not in log_of(ask)
    server.ask("POST", "/v2/trace/setting", {"trace_level": "TIMESTAMPS", "trace_rate": "1", "trace_count": "1"})
    traced = next(x for x in log_of(ask).splitlines() if "traced-one" in x)
    facts = json.loads(traced[traced.index("{"):])
    assert facts["model_name"] == "m" and facts["request_ns"] >= facts["compute_infer_ns"] > 0
    assert "traced-one" not in log_of(ask), "trace_count is 1"
