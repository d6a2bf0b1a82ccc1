"""Rules of the protocol that no other file here checks: framing, ids, parameters, disconnects, codes."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle.models.make import onnx_models

ONES = {"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
ASK = {"inputs": [ONES]}
INFER = "/v2/models/labelled/infer"


def raw(server, data: bytes, *more: bytes) -> socket.socket:
    """A connection on which these bytes were sent."""
    sock = socket.create_connection((server.host, server.port), timeout=20)
    for piece in (data, *more):
        sock.sendall(piece)
    return sock


def answer(sock: socket.socket) -> tuple[int, Any]:
    """(status, document) of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := sock.recv(65536))
        assert more, data
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    size = int(found[1]) if found else 0
    while len(body) < size:
        body += sock.recv(65536)
    return int(head.split()[1]), json.loads(body) if body else None


def head(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


# ---- OIP-18 to OIP-20: how a request is framed

@pytest.mark.parametrize("size", [1, 7, 4096])
def test_chunked_requests(server, size: int) -> None:
    body = json.dumps(ASK).encode()
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"
    with raw(server, head(INFER, "Transfer-Encoding: chunked"), chunks) as sock:
        assert answer(sock)[0] == 200
        sock.sendall(head(INFER, f"Content-Length: {len(body)}") + body)
        assert answer(sock)[0] == 200, "the connection is kept"


def test_a_client_that_waits_for_100_continue(server) -> None:
    body = json.dumps(ASK).encode()
    with raw(server, head(INFER, f"Content-Length: {len(body)}", "Expect: 100-continue")) as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")
        sock.sendall(body)
        assert answer(sock)[0] == 200


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/json", "text/plain", "nonsense"])
def test_the_content_type_is_not_looked_at(server, kind: str) -> None:
    assert server.ask("POST", INFER, ASK, {"Content-Type": kind}).status == 200


def test_a_name_in_the_path_is_decoded(server) -> None:
    assert server.ask("POST", "/v2/models/l%61belled/infer?x=1&y", ASK).status == 200


# ---- OIP-21, OIP-23, OIP-29, OIP-30: the request's JSON

@pytest.mark.parametrize(("ident", "told"), [("", None), (None, None), ("abc", "abc"), ("\u5927 \"\\", "\u5927 \"\\")])
def test_the_id_comes_back_first_and_an_empty_one_is_none(server, ident: str | None, told: str | None) -> None:
    reply = server.ask("POST", INFER, {**ASK, "id": ident}).json
    assert reply.get("id") == told and ("id" in reply) is (told is not None)


def test_unknown_keys_are_ignored(server) -> None:
    asked = {"model_name": "x", "future": [1], "inputs": [{**ONES, "hint": {}}], "outputs": [{"name": "OUTPUT0", "more": 1}]}
    assert server.ask("POST", INFER, asked).status == 200


@pytest.mark.parametrize("data", [[[1, 2], [3, 4]], [[[[1, 2, 3, 4]]]], [1, [2, [3]], 4]])
def test_only_the_number_of_elements_counts(server, data: Any) -> None:
    reply = server.ask("POST", INFER, {"inputs": [{**ONES, "data": data}]})
    assert reply.json["outputs"][0]["data"] == [1, 2, 3, 4]


@pytest.mark.parametrize("value", ["text", 7, -7, 1.5, True])
def test_parameters_of_every_kind_are_taken(server, value: Any) -> None:
    assert server.ask("POST", INFER, {**ASK, "parameters": {"mine": value, "headers": "x"}}).status == 200


def test_batches_must_agree(server) -> None:
    items = [{"name": n, "shape": [rows, 16], "datatype": "INT32", "data": [0] * 16 * rows}
             for n, rows in (("INPUT0", 1), ("INPUT1", 2))]
    reply = server.ask("POST", "/v2/models/simple/infer", {"inputs": items})
    assert reply.status == 400 and "batch size does not match other inputs" in reply.error


def test_timeout_and_priority_are_taken(server) -> None:
    for parameters in ({"priority": 0}, {"priority": 1}, {"priority": 10**6}, {"timeout": 60_000_000, "priority": 2}):
        assert server.ask("POST", INFER, {**ASK, "parameters": parameters}).status == 200


# ---- OIP-31, OIP-38 to OIP-43: the answer

def test_any_nonzero_byte_is_true(server) -> None:
    asked = {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "BOOL", "parameters": {"binary_data_size": 4}}]}
    text = json.dumps(asked).encode()
    reply = server.ask("POST", "/v2/models/identity_bool/infer", text + bytes([0, 1, 2, 255]),
                       {"Inference-Header-Content-Length": str(len(text))})
    assert reply.json["outputs"][0]["data"] == [False, True, True, True]


def test_binary_numbers_are_little_endian(server) -> None:
    asked = {"inputs": [{**ONES, "data": [1, 0, 0, 0]}], "parameters": {"binary_data_output": True}}
    reply = server.ask("POST", INFER, asked)
    assert reply.body.endswith(struct.pack("<4f", 1, 0, 0, 0))


def test_where_the_time_went_is_said_and_adds_up(server) -> None:
    told = dict(re.findall(r"(\w+);dur=([\d.]+)", server.ask("POST", INFER, ASK).headers["Server-Timing"]))
    assert set(told) == {"queue", "fill", "run", "read", "total"}
    assert sum(float(told[k]) for k in ("queue", "fill", "run", "read")) <= float(told["total"]) + 0.01


@pytest.mark.parametrize(("method", "path", "body"), [
    ("POST", INFER, b"{"), ("POST", "/v2/models/nobody/infer", b"{}"), ("DELETE", "/v2", None), ("GET", "/nowhere", None),
    ("POST", "/v2/models/failing/infer", b'{"inputs":[{"name":"INPUT0","shape":[1,1],"datatype":"INT32","data":[1]}]}'),
    ("POST", "/v2/repository/models/nobody/load", None), ("POST", "/v2/systemsharedmemory/region/r/register", b"[]"),
    ("BREW", "/v2", None), ("OPTIONS", "/v2/models/simple", None), ("POST", "/v2/logging", b"no")])
def test_every_failure_is_json_with_an_error(server, method: str, path: str, body: bytes | None) -> None:
    reply = server.ask(method, path, body)
    assert reply.status >= 400 and reply.status != 499, "499 means a deadline to stock clients"
    assert reply.headers["Content-Type"].startswith("application/json") and reply.error


# ---- OIP-45: regions that begin anywhere

def test_a_region_need_not_begin_at_a_page(server) -> None:
    key = f"aisle-test-rules-{time.monotonic_ns()}"
    path = Path("/dev/shm") / key
    path.write_bytes(bytes(4097) + np.arange(4, dtype="f4").tobytes() + bytes(100))
    try:
        assert server.ask("POST", "/v2/systemsharedmemory/region/odd/register",
                          {"key": key, "offset": 4097, "byte_size": 16}).status == 200
        source = {"name": "INPUT0", "shape": [1, 4], "datatype": "FP32",
                  "parameters": {"shared_memory_region": "odd", "shared_memory_byte_size": 16}}
        assert server.ask("POST", INFER, {"inputs": [source]}).json["outputs"][0]["data"] == [0, 1, 2, 3]
    finally:
        server.ask("POST", "/v2/systemsharedmemory/region/odd/unregister")
        path.unlink()


# ---- OIP-55: who leaves the queue frees his place

def reasons(server, model: str) -> dict[str, float]:
    page = server.ask("GET", "/metrics").body.decode()
    found = re.findall(rf'nv_inference_request_failure\{{model="{model}",reason="(\w+)",version="1"\}} ([\d.e+]+)', page)
    return {reason: float(number) for reason, number in found}


@pytest.mark.parametrize("extra", [(), ("Accept-Encoding: br",)], ids=["short way", "through the router"])
def test_a_client_that_leaves_while_it_waits_is_cancelled(server, extra: tuple[str, ...]) -> None:
    body = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, 1], "datatype": "INT32", "data": [1]}]}).encode()
    whole = head("/v2/models/slow/infer", f"Content-Length: {len(body)}", *extra) + body
    before = reasons(server, "slow")["CANCELED"]
    with raw(server, whole) as first:
        time.sleep(0.05)
        raw(server, whole).close()                  # waits behind the first, and leaves
        assert answer(first)[0] == 200
    for _ in range(100):
        if reasons(server, "slow")["CANCELED"] > before:
            break
        time.sleep(0.02)
    assert reasons(server, "slow")["CANCELED"] == before + 1


# ---- OIP-56: what is too much to sort

def test_too_many_classes_are_refused(server) -> None:
    rows = 500_001
    text = json.dumps({"inputs": [{"name": "INPUT0", "shape": [rows, 2], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 8 * rows}}],
                       "outputs": [{"name": "OUTPUT0", "parameters": {"classification": 1}}]}).encode()
    reply = server.ask("POST", "/v2/models/free/infer", text + bytes(8 * rows),
                       {"Inference-Header-Content-Length": str(len(text))})
    assert reply.status == 400 and "would sort 1000002 elements" in reply.error


# ---- OIP-57, OIP-61: numbers and states

def test_statistics_are_whole_numbers_throughout(server) -> None:
    server.ask("POST", INFER, ASK)

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)
        else:
            assert type(value) is str or (type(value) is int and value >= 0), value
    walk(server.ask("GET", "/v2/models/stats").json)


def test_an_index_entry_has_no_reason_where_there_is_none(server) -> None:
    assert all("reason" not in item for item in server.ask("POST", "/v2/repository/index", b"").json
               if item.get("state") == "READY")


# ---- OIP-18, OIP-36: what the operator decides

def test_odd_folder_names_are_no_models_and_compression_can_be_off(launch, null_model, tmp_path) -> None:
    null_model(tmp_path / "models", "good-1.x", "int32", (1,))
    for name in ("bad name", "bäd", "a:b"):
        (tmp_path / "models" / name / "1").mkdir(parents=True)
        onnx_models.identity(tmp_path / "models" / name / "1" / "model.onnx", (4,))
    config = tmp_path / "aisle.toml"
    config.write_text('[server]\ncompress = "never"\n[repository]\nrequired = ["good-1.x"]\n')
    server = launch(tmp_path / "models", "--config", str(config))
    served = [i["name"] for i in server.ask("POST", "/v2/repository/index", {"ready": True}).json]
    assert served == ["good-1.x"]
    for path in ("bad%20name", "b%C3%A4d", "a:b"):
        assert server.ask("GET", f"/v2/models/{path}").status == 404
    body = {"inputs": [{"name": "INPUT0", "shape": [1], "datatype": "INT32", "data": [1]}]}
    reply = server.ask("POST", "/v2/models/good-1.x/infer", body, {"Accept-Encoding": "gzip"})
    assert reply.status == 200 and "Content-Encoding" not in reply.headers, reply.body
