"""Token, TLS and the metrics page of a running server."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aisle.models.make import onnx_models
from prometheus_client.parser import text_string_to_metric_families

TOKEN = "a-token-of-some-length"
BODY = {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "UINT8", "data": [1, 2, 3, 4]}]}
INFER = "/v2/models/m/infer"


def make_model(root: Path) -> None:
    (root / "m" / "1").mkdir(parents=True)
    onnx_models.identity(root / "m" / "1" / "model.onnx", (4,), "uint8")


@pytest.fixture(scope="module")
def guarded(launch, tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("guarded")
    make_model(root)
    return launch(root, AISLE_TOKEN=TOKEN)


@pytest.mark.parametrize(("method", "path"), [("POST", INFER), ("GET", "/v2"), ("GET", "/metrics"), ("GET", "/v1"),
                                              ("POST", "/v1/inspect/x"), ("POST", "/v2/repository/models/m/load")])
def test_without_the_token_nothing_is_done(guarded, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {TOKEN[:-1]}"}):
        connection = guarded.connect()
        answer = guarded.ask(method, path, BODY if method == "POST" else None, headers, connection)
        assert answer.status == 401 and "Authorization: Bearer" in answer.error
        connection.close()


def test_with_the_token_everything_is_and_health_needs_none(guarded) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for _ in range(3):
        assert guarded.ask("POST", INFER, BODY, headers).status == 200
    assert guarded.ask("GET", "/v2", headers=headers).status == 200
    for path in ("/v2/health/live", "/v2/health/ready", "/healthz", "/"):
        assert guarded.ask("GET", path).status == 200


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_tls(tmp_path: Path) -> None:
    make_model(tmp_path / "models")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(chain),
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
                   check=True, capture_output=True)
    config = tmp_path / "aisle.toml"
    config.write_text(f'[server]\nport = 0\ntls_cert = "{chain}"\ntls_key = "{key}"\n')
    process = subprocess.Popen([sys.executable, "-m", "aisle.runtime", "serve", "--config", str(config), "--models",
                                str(tmp_path / "models")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = next(word for word in process.stdout.readline().split() if word.startswith("https://"))
    trust = ssl.create_default_context(cafile=str(chain))

    def ask(path: str, body: bytes | None = None) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(address + path, body, 20, context=trust) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
    try:
        for _ in range(2000):
            if ask("/v2/health/ready")[0] == 200:
                break
        status, body = ask(INFER, json.dumps(BODY).encode())
        assert status == 200 and json.loads(body)["outputs"][0]["data"] == [1, 2, 3, 4]
        with pytest.raises(OSError, match=r"."):
            urllib.request.urlopen(address.replace("https", "http") + "/v2", timeout=20)
        assert ask("/v2")[0] == 200, "plain HTTP on the port harms nobody"
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize(("made", "sentence"), [(False, "cannot be used"), (True, "cannot be used")])
def test_a_certificate_that_cannot_be_used_is_a_sentence(tmp_path: Path, made: bool, sentence: str) -> None:
    if made:
        (tmp_path / "a.pem").write_text("no certificate")
    config = tmp_path / "aisle.toml"
    config.write_text(f'[server]\nport = 0\ntls_cert = "{tmp_path}/a.pem"\ntls_key = "{tmp_path}/a.pem"\n')
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "serve", "--config", str(config), "--models", str(tmp_path)],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


TRITONS = ["nv_inference_request_success", "nv_inference_request_failure", "nv_inference_count", "nv_inference_exec_count",
           "nv_inference_pending_request_count", "nv_inference_request_duration_us", "nv_inference_queue_duration_us",
           "nv_inference_compute_input_duration_us", "nv_inference_compute_infer_duration_us",
           "nv_inference_compute_output_duration_us", "nv_cpu_memory_total_bytes", "nv_cpu_memory_used_bytes"]
OURS = ["aisle_deadline_missed_total", "aisle_request_seconds_bucket", "aisle_request_seconds_count",
        "aisle_request_seconds_sum", "aisle_overhead_us", "aisle_ready", "aisle_requests_in_flight"]


def test_the_metrics_page(server) -> None:
    server.ask("POST", "/v2/models/identity_uint8/infer", BODY)
    answer = server.ask("GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = [s for f in text_string_to_metric_families(answer.body.decode()) for s in f.samples]
    names = {s.name for s in samples}
    assert set(TRITONS) <= names and set(OURS) <= names
    mine = {s.name: s.value for s in samples if s.labels == {"model": "identity_uint8", "version": "1"}}
    assert mine["nv_inference_request_success"] >= 1 and mine["nv_inference_request_duration_us"] > 0
    reasons = {s.labels["reason"] for s in samples if s.name == "nv_inference_request_failure"}
    assert reasons == {"REJECTED", "CANCELED", "BACKEND", "OTHER"}
