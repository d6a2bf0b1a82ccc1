"""The server as a process: one line with its address, SIGTERM drains, wrong configurations are sentences."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aisle.models.bundle import Bundle, TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml

ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "AISLE_TOKEN"}


@contextlib.contextmanager
def server(*words: str):
    process = subprocess.Popen([sys.executable, "-m", "aisle.runtime", "serve", "--port", "0", *words],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next((word for word in line.split() if word.startswith("http")), None)
        yield process, address
    finally:
        process.kill()
        process.communicate()


def sleepy(root: Path, ms: int) -> None:
    """A null model that takes its time."""
    folder = root / "sleepy" / "1"
    folder.mkdir(parents=True)
    (folder / "nothing.bin").write_bytes(b"-")
    spec = TensorSpec("x", "float32", (2,))
    write_bundle_toml(Bundle("sleepy", "1", "model", folder, (spec,), (TensorSpec("y", "float32", (2,)),),
                             {("null", "fp32"): "nothing.bin"}, max_batch=1, params={"sleep_ms": ms},
                             sha256={"nothing.bin": digest(folder / "nothing.bin")}), folder)


def infer(address: str, timeout_us: int = 0) -> dict:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    if timeout_us:
        body["parameters"] = {"timeout": timeout_us}
    request = urllib.request.Request(address + "/v2/models/sleepy/infer", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def wait_ready(address: str) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(address + "/v2/health/ready").close()
            return
        time.sleep(0.02)
    raise AssertionError("not ready within 20 s")


def test_sigterm_answers_what_runs_and_refuses_the_rest(tmp_path: Path) -> None:
    sleepy(tmp_path, 700)
    with server("--models", str(tmp_path)) as (process, address):
        wait_ready(address)
        answers: list[dict] = []
        thread = threading.Thread(target=lambda: answers.append(infer(address)))
        thread.start()
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        with pytest.raises(urllib.error.URLError):
            infer(address)
        thread.join(10)
        assert process.wait(10) == 0
        assert answers[0]["outputs"][0]["data"] == [1, 2]


def test_a_deadline_missed_in_the_queue_is_a_504_while_the_batch_before_it_runs(tmp_path: Path) -> None:
    sleepy(tmp_path, 500)
    with server("--models", str(tmp_path)) as (_, address):
        wait_ready(address)
        thread = threading.Thread(target=infer, args=(address,))
        thread.start()
        time.sleep(0.1)
        with pytest.raises(urllib.error.HTTPError) as caught:
            infer(address, timeout_us=20_000)
        assert caught.value.code == 504 and "20000 us" in json.load(caught.value)["error"]
        thread.join()
        with urllib.request.urlopen(address + "/metrics") as answer:
            assert 'aisle_deadline_missed_total{model="sleepy",version="1"} 1.0' in answer.read().decode()


@pytest.mark.parametrize(("words", "sentence"), [
    ((), "name the folder with the models"),
    (("--models", "/nowhere/at/all"), "is not a folder"),
    (("--models", ".", "--host", "0.0.0.0"), "set server.token_file"),
    (("--models", ".", "--device", "toaster"), "device.profile: expected one of auto, arm-cpu"),
    (("--models", ".", "--config", "/nowhere.toml"), "cannot be read"),
])
def test_a_wrong_configuration_is_a_sentence_and_code_2(words: tuple[str, ...], sentence: str) -> None:
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "serve", "--port", "0", *words], text=True,
                          capture_output=True, timeout=30, env=ENVIRONMENT, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with server("--models", str(tmp_path)) as (_, address):
        port = address.rsplit(":", 1)[1].rstrip("/")
        done = subprocess.run([sys.executable, "-m", "aisle.runtime", "serve", "--models", str(tmp_path), "--port", port],
                              text=True, capture_output=True, timeout=30, env=ENVIRONMENT, check=False)
        assert done.returncode == 2 and "choose another server.port" in done.stderr


def test_doctor_says_what_this_machine_is() -> None:
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "doctor", "--json"], text=True, capture_output=True,
                          timeout=60, check=False)
    found = json.loads(done.stdout)
    assert found["backends"]["null"] == "works" and found["machine"]["cores"] >= 1
    assert done.returncode == (1 if found["problems"] else 0)


def test_config_check_lists_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "aisle.toml"
    path.write_text("[server]\nprot = 1\nport = -1\n")
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "config", "--check", str(path)], text=True,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 2 and "2 mistakes" in done.stderr
