"""Several workers on one port, as processes: they act as one server, and who dies comes back."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aisle.models.make.onnx_models import identity
from aisle.models.route.assemble import assemble
from aisle.models.route.network import save, with_topology
from aisle.runtime.place import Place, place

WORKERS = 3


def start(folder: Path, *words: str, workers: int = WORKERS) -> subprocess.Popen:
    (folder / "aisle.toml").write_text(f"[server]\nworkers = {workers}\ndrain_s = 3\n[health]\ncanary_every_s = 0\n")
    return subprocess.Popen([sys.executable, "-m", "aisle.runtime", "serve", "--config", str(folder / "aisle.toml"), "--models",
                             str(folder / "models"), "--port", "0", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen, int]]:
    """(the supervisor, the port)."""
    folder = tmp_path_factory.mktemp("workers")
    (folder / "models" / "identity" / "1").mkdir(parents=True)
    identity(folder / "models" / "identity" / "1" / "model.onnx", (4,), "float32")
    tail, head = np.array([0, 1, 1, 2], np.int32), np.array([1, 0, 2, 1], np.int32)
    weights = np.full(4, 1000, np.uint32)
    network = assemble(np.arange(3.0) * 100, np.zeros(3), tail, head, weights, weights, frame="plane", kinds=("street",))
    save(with_topology(network), folder / "models" / "streets" / "1", "streets")
    process = start(folder)
    line = process.stdout.readline()
    assert f"with {WORKERS} workers" in line, line + process.stderr.read()
    port = int(line.split("127.0.0.1:")[1].split()[0])
    until = time.monotonic() + 60
    while any(ask(port, "GET", "/v2/health/ready")[0] != 200 for _ in range(4 * WORKERS)):
        assert time.monotonic() < until
        time.sleep(0.1)
    yield process, port
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert "Traceback" not in process.stderr.read()


def ask(port: int, method: str, path: str, body: object = None, headers: dict | None = None) -> tuple[int, object]:
    """One request on a connection of its own, which the kernel gives to any worker."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
    finally:
        connection.close()


def infer(port: int) -> tuple[int, object]:
    return ask(port, "POST", "/v2/models/identity/infer", {
        "inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]})


def workers_of(process: subprocess.Popen) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def test_statistics_and_metrics_count_what_all_workers_did(running) -> None:
    _, port = running
    for _ in range(24):
        status, told = infer(port)
        assert status == 200 and told["outputs"][0]["data"] == [1, 2, 3, 4]
    status, told = ask(port, "GET", "/v2/models/identity/stats")
    assert status == 200 and told["model_stats"][0]["inference_count"] == 24
    _, text = ask(port, "GET", "/metrics")
    lines = [line for line in text.splitlines() if line.startswith("nv_inference_count{") and 'model="identity"' in line]
    counts = [float(line.split()[-1]) for line in lines]
    assert len(counts) == WORKERS and sum(counts) == 24 and sum(count > 0 for count in counts) > 1


def test_unloading_and_loading_reach_every_worker(running) -> None:
    _, port = running
    assert ask(port, "POST", "/v2/repository/models/identity/unload", {})[0] == 200
    assert {ask(port, "GET", "/v2/models/identity/ready")[0] for _ in range(12)} == {503}
    assert ask(port, "POST", "/v2/repository/models/identity/load", {})[0] == 200
    assert {infer(port)[0] for _ in range(12)} == {200}
    status, told = ask(port, "POST", "/v2/repository/models/nobody/load", {})
    assert status == 404 and "nobody" in told["error"]


def test_shared_memory_registered_anywhere_is_known_everywhere(running) -> None:
    _, port = running
    key = f"aisle-test-workers-{os.getpid()}"
    path = Path("/dev/shm") / key
    path.write_bytes(np.array([5, 6, 7, 8], np.float32).tobytes())
    try:
        told = ask(port, "POST", "/v2/systemsharedmemory/region/one/register", {"key": key, "offset": 0, "byte_size": 16})
        assert told[0] == 200, told
        wish = {"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "parameters": {
            "shared_memory_region": "one", "shared_memory_byte_size": 16}}]}
        for _ in range(12):
            status, answer = ask(port, "POST", "/v2/models/identity/infer", wish)
            assert status == 200 and answer["outputs"][0]["data"] == [5, 6, 7, 8]
        assert ask(port, "POST", "/v2/systemsharedmemory/region/one/unregister", {})[0] == 200
        assert {ask(port, "POST", "/v2/models/identity/infer", wish)[0] for _ in range(12)} <= {400, 404}
    finally:
        path.unlink()


def test_a_job_that_remembers_is_of_one_mind(running) -> None:
    _, port = running
    way = {"from": {"node": 0}, "to": {"node": 2}}
    status, told = ask(port, "POST", "/v1/routes/streets", way)
    assert status == 200, told
    change = {"type": "update", "changes": [{"name": "works", "do": "close", "edges": told["edges"][:1]}]}
    status, closed = ask(port, "POST", "/v1/routes/streets", change)
    assert status == 200, closed
    for _ in range(12):
        status, answer = ask(port, "POST", "/v1/routes/streets", way)
        assert status != 200 or answer["edges"] != told["edges"], "the closure is known to whoever is asked"
    oip = {"inputs": [{"name": "NODES", "shape": [1, 2], "datatype": "INT32", "data": [0, 2]}]}
    versions = set()
    for _ in range(8):
        status, answer = ask(port, "POST", "/v2/models/streets/infer", oip)
        assert status == 200, answer
        versions |= {tuple(o["data"]) for o in answer["outputs"] if o["name"] == "VERSION"}
    assert len(versions) == 1


def test_a_killed_worker_comes_back_and_the_others_answer_meanwhile(running) -> None:
    process, port = running
    before = workers_of(process)
    os.kill(before[-1], signal.SIGKILL)
    time.sleep(0.3)
    assert {infer(port)[0] for _ in range(12)} == {200}
    until = time.monotonic() + 30
    while len(workers_of(process)) < WORKERS or set(workers_of(process)) == set(before):
        assert time.monotonic() < until
        time.sleep(0.1)
    while ask(port, "GET", "/metrics")[0] != 200:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_configuration_that_the_workers_refuse_ends_it_with_2(tmp_path: Path) -> None:
    process = start(tmp_path)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 2 and "is not a folder" in told and "Traceback" not in told


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        process = start(tmp_path, "--port", str(other.getsockname()[1]))
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2 and "choose another server.port" in told and "Traceback" not in told


def test_a_place_is_read_as_it_is_written() -> None:
    one = Place(2, 5, 8000, Path("/tmp/a:b"))
    assert place({"AISLE_WORKER": one.text()}) == one and place({}) is None
