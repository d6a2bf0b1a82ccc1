"""Health, metadata, configuration, statistics, and the manners of the HTTP surface."""

from __future__ import annotations

import http.client
import json

import pytest

ONE = {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/live/", "/v2/health/live?x=1"])
def test_live(server, path: str) -> None:
    answer = server.ask("GET", path)
    assert answer.status == 200 and answer.json == {"live": True}


@pytest.mark.parametrize("path", ["/v2/health/ready", "/v2/health/ready/"])
def test_ready(server, path: str) -> None:
    answer = server.ask("GET", path)
    assert answer.status == 200 and answer.json == {"ready": True}


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2?format=json"])
def test_server_metadata(server, path: str) -> None:
    facts = server.ask("GET", path).json
    assert facts["name"] == "aisle" and facts["version"]
    assert {"binary_tensor_data", "statistics", "system_shared_memory"} <= set(facts["extensions"])
    assert "cuda_shared_memory" not in facts["extensions"]


@pytest.mark.parametrize("path", ["/v2/models/simple", "/v2/models/simple/versions/1", "/v2/models/s%69mple"])
def test_model_metadata(server, path: str) -> None:
    assert server.ask("GET", path).json == {
        "name": "simple", "versions": ["1"], "platform": "onnxruntime_onnx",
        "inputs": [{"name": n, "datatype": "INT32", "shape": [-1, 16]} for n in ("INPUT0", "INPUT1")],
        "outputs": [{"name": n, "datatype": "INT32", "shape": [-1, 16]} for n in ("OUTPUT0", "OUTPUT1")]}


def test_metadata_of_odd_models(server) -> None:
    facts = server.ask("GET", "/v2/models/sequence").json
    assert [i["name"] for i in facts["inputs"]] == ["INPUT"], "control inputs are the server's affair"
    assert server.ask("GET", "/v2/models/free").json["inputs"][0]["shape"] == [-1, 2]
    assert server.ask("GET", "/v2/models/scalar").json["inputs"][0]["shape"] == []
    assert server.ask("GET", "/v2/models/bf16").json["inputs"][0]["datatype"] == "BF16"


def test_model_config(server) -> None:
    config = server.ask("GET", "/v2/models/simple/config").json
    assert config["name"] == "simple" and config["max_batch_size"] == 8 and config["backend"] == "onnxruntime"
    assert config["input"][0] | {"optional": False} == config["input"][0]
    assert config["input"][0]["data_type"] == "TYPE_INT32" and config["input"][0]["dims"] == [16]
    assert config["model_transaction_policy"] == {"decoupled": False}
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 0
    text = server.ask("GET", "/v2/models/text/versions/1/config").json
    assert text["input"][0]["data_type"] == "TYPE_STRING"
    sequence = server.ask("GET", "/v2/models/sequence/config").json
    assert sequence["sequence_batching"]["control_input"][0]["name"] == "START"
    assert sequence["parameters"] == {"made_by": {"string_value": "test"}} and "dynamic_batching" not in sequence
    assert server.ask("GET", "/v2/models/labelled/config").json["output"][0]["label_filename"] == "labels.txt"


@pytest.mark.parametrize("tail", ["", "/ready", "/config", "/stats", "/versions/1", "/versions/1/stats"])
def test_unknown_models_are_404(server, tail: str) -> None:
    answer = server.ask("GET", "/v2/models/nobody" + tail)
    assert answer.status == 404 and "Request for unknown model: 'nobody'" in answer.error


def test_model_ready(server) -> None:
    assert server.ask("GET", "/v2/models/simple/ready").status == 200
    assert server.ask("GET", "/v2/models/simple/versions/1/ready").status == 200
    assert server.ask("GET", "/v2/models/simple/versions/7/ready").status == 404


@pytest.mark.parametrize(("method", "path", "status", "text"), [
    ("GET", "/v2/models/simple/infer", 405, "Method Not Allowed"),
    ("POST", "/v2/health/live", 405, "Method Not Allowed"),
    ("PUT", "/v2/models/simple", 405, "Method Not Allowed"),
    ("GET", "/v2/repository/index", 405, "Method Not Allowed"),
    ("GET", "/v2/nonsense", 404, "Not Found"),
    ("GET", "/", 200, ""),
    ("GET", "/v3", 404, "Not Found"),
    ("GET", "/v2/models/simple/versions/v10", 404, "Not Found"),
    ("GET", "/v2/models/%2e%2e%2f%2e%2e", 404, ""),
    ("GET", "/v2/models/simple/generate", 404, "Not Found"),
])
def test_wrong_verbs_and_paths(server, method: str, path: str, status: int, text: str) -> None:
    connection = server.connect()
    answer = server.ask(method, path, connection=connection)
    assert answer.status == status
    if status >= 400:
        assert text in answer.error
    assert server.ask("GET", "/v2", connection=connection).status == 200
    connection.close()


def test_statistics_count_what_happened(server) -> None:
    def stats() -> dict:
        (item,) = server.ask("GET", "/v2/models/labelled/stats").json["model_stats"]
        return item

    before = stats()
    for _ in range(3):
        assert server.ask("POST", "/v2/models/labelled/infer", ONE).status == 200
    after = stats()
    assert after["name"] == "labelled" and after["version"] == "1"
    assert after["inference_count"] == before["inference_count"] + 3
    parts = after["inference_stats"]
    assert set(parts) == {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit",
                          "cache_miss"}
    assert parts["queue"]["count"] == parts["success"]["count"] == before["inference_stats"]["success"]["count"] + 3
    own = sum(parts[p]["ns"] for p in ("queue", "compute_input", "compute_infer", "compute_output"))
    assert parts["success"]["ns"] >= own, "the overhead must not be negative"
    assert after["batch_stats"][0]["batch_size"] == 1 and after["last_inference"] > 1_500_000_000_000
    everything = {m["name"] for m in server.ask("GET", "/v2/models/stats").json["model_stats"]}
    assert {"simple", "labelled", "text"} <= everything


def test_no_headers_are_required(server) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    body = json.dumps(ONE).encode()
    connection.putrequest("POST", "/v2/models/labelled/infer", skip_accept_encoding=True)
    connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Length"] and answer.read()
    connection.close()


def test_a_model_that_cannot_be_served_is_said_where_people_look(launch, tmp_path) -> None:
    (tmp_path / "broken" / "1").mkdir(parents=True)
    (tmp_path / "broken" / "1" / "model.onnx").write_bytes(b"nothing of the kind")
    config = tmp_path / "aisle.toml"
    config.write_text("[repository]\npoll_s = 0\nrequired = []\ncontrol = false\n")
    server = launch(tmp_path, "--config", str(config))
    (item,) = server.ask("POST", "/v2/repository/index").json
    assert item["state"] == "UNAVAILABLE" and "ONNX" in item["reason"]
    answer = server.ask("GET", "/v2/models/broken/ready")
    assert answer.status == 503 and answer.error.startswith("Model version not ready: 'broken' is UNAVAILABLE")
    assert server.ask("POST", "/v2/models/broken/infer", ONE).status in (404, 503)
    answer = server.ask("POST", "/v2/repository/models/broken/load")
    assert answer.status == 403 and "repository.control" in answer.error


def test_a_required_model_that_is_missing_makes_the_server_unready(launch, tmp_path) -> None:
    config = tmp_path / "aisle.toml"
    config.write_text("[repository]\nrequired = ['line_4']\n")
    server = launch(tmp_path, "--config", str(config), ready=False)
    for _ in range(200):
        answer = server.ask("GET", "/v2/health/ready")
        if "line_4" in answer.error:
            break
    assert answer.status == 503 and answer.json["ready"] is False
    assert "required model 'line_4'" in answer.json["blockers"][0] and "line_4" in answer.error
    assert server.ask("GET", "/v2/health/live").status == 200
