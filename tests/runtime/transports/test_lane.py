"""The lane answers as HTTP does, for every kind of model and for jobs."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.models.make import onnx_models
from aisle.runtime import lane_wire as wire
from aisle.runtime.client import Client, Results
from aisle.runtime.client.lane import read_answer
from aisle.runtime.config import ConfigError, LaneConfig
from aisle.runtime.errors import AisleError, Busy, Failed, Invalid, NotFound, TooLarge
from aisle.runtime.pool import Pool
from aisle.runtime.transports.lane import Lane, connection

RNG = np.random.default_rng(4)
CASES = {
    "identity": {"INPUT0": RNG.random((3, 16), np.float32)},
    "simple": {"INPUT0": np.arange(16, dtype=np.int32)[None], "INPUT1": np.full((1, 16), 5, np.int32)},
    "conv": {"image": RNG.random((2, 3, 64, 64), np.float32)},
    "text": {"INPUT0": np.array([[b"a", b"", b"\xe2\x82\xac", b"long" * 99]], object)},
    "free": {"INPUT0": RNG.random((5, 2), np.float32)},
    "one_text": {"INPUT0": np.array([b"\x00\xff"], object)},
    "scalar": {"INPUT0": np.array(-7, np.int32)},
    "bf16": {"INPUT0": np.arange(8, dtype=np.uint16).reshape(2, 4)},
    "sequence": {"INPUT": np.array([[4]], np.int32)},
    "identity_bool": {"INPUT0": np.array([[True, False, True, True]])},
    "identity_uint8": {"INPUT0": np.array([[0, 1, 254, 255]], np.uint8)},
    "identity_uint64": {"INPUT0": np.array([[0, 1, 2, 2**64 - 1]], np.uint64)},
    "identity_int8": {"INPUT0": np.array([[-128, -1, 0, 127]], np.int8)},
    "identity_int64": {"INPUT0": np.array([[-(2**63), -1, 0, 2**63 - 1]], np.int64)},
    "identity_float16": {"INPUT0": np.array([[0, -1, np.inf, np.nan]], np.float16)},
    "identity_float64": {"INPUT0": np.array([[1e300, -1, 0, np.pi]])},
}


@pytest.fixture
def lane(lane_server):
    with Client(lane_server.path) as client:
        yield client


@pytest.fixture
def http(lane_server):
    with Client(lane_server.http) as client:
        yield client


def same(one: Results, other: Results, kind: str = " fp32") -> None:
    assert one.keys() == other.keys() and one.variant == other.variant
    assert one.variant.endswith(kind) if kind else one.variant == ""
    for name in one:
        assert (one[name].dtype, one[name].shape) == (other[name].dtype, other[name].shape)
        if one[name].dtype.hasobject:
            assert one[name].tolist() == other[name].tolist()
        else:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("model", [name for name in CASES if name != "bf16"])
def test_every_kind_of_tensor_gets_what_http_gives(lane, http, model):
    for _ in range(3):      # first understood, then remembered
        same(lane.infer(model, CASES[model]), http.infer(model, CASES[model]))


def test_bfloat16_travels_as_its_bits(lane):
    np.testing.assert_array_equal(lane.infer("bf16", CASES["bf16"])["OUTPUT0"], CASES["bf16"]["INPUT0"])


def test_a_cheap_model_gives_the_same_in_line_as_on_its_thread(lane, http):
    for i in range(120):    # enough to be known as cheap
        x = np.full((1, 16), i, np.float32)
        assert lane.infer("identity", {"INPUT0": x})["OUTPUT0"][0, 3] == i
    same(lane.infer("identity", CASES["identity"]), http.infer("identity", CASES["identity"]))


def test_only_the_outputs_that_were_asked_for_come(lane):
    assert list(lane.infer("simple", CASES["simple"], ["OUTPUT1"])) == ["OUTPUT1"]
    np.testing.assert_array_equal(lane.infer("simple", CASES["simple"], ["OUTPUT1"])["OUTPUT1"],
                                  CASES["simple"]["INPUT0"] - 5)


def test_any_byte_of_a_boolean_is_true_or_false(lane_server):
    with lane_server.raw().share() as raw:
        handle = raw.open("identity_bool")
        raw.memory[:4] = bytes([0, 1, 2, 255])
        tensor = wire.Tensor(0, wire.NUMBERS["BOOL"], 0, 0, 4, (1, 4))
        assert raw.ask(wire.pack_call(1, handle, 0, [tensor], (64, 4096))).status == wire.OK
        assert raw.memory[64:68] == bytes([0, 1, 1, 1])


def test_a_prepared_call_copies_nothing_here(lane):
    call = lane.prepare("identity", {"INPUT0": (2, 16)})
    for i in range(3):
        call.inputs["INPUT0"][:] = i
        assert (call.run()["OUTPUT0"] == i).all()
    others = [lane.prepare("identity", {"INPUT0": (1, 16)}) for _ in range(2)]
    with pytest.raises(Busy, match="all 4 slots"):
        lane.prepare("identity", {"INPUT0": (1, 16)})
    others[0].close()
    lane.prepare("identity", {"INPUT0": (1, 16)}).close()
    assert (call.run()["OUTPUT0"] == 2).all()


# ---- jobs

def test_the_inspection_job_says_over_the_lane_what_it_says_over_http(lane, lane_server, pictures):
    for path in (*pictures.good, *pictures.bad[:2]):
        data = path.read_bytes()
        told = lane_server.served.ask("POST", "/v1/inspect/flange", data, {"Content-Type": "image/png"}).json
        pixels = lane.inspect("flange", cv2.imread(str(path)))
        encoded = lane.inspect("flange", data)
        for seen in (pixels, encoded):
            assert seen.verdict == told["verdict"] and seen.score == pytest.approx(told["score"], abs=1e-5)
            assert [list(spot.box) for spot in seen.regions] == [region["box"] for region in told["regions"]]
        np.testing.assert_array_equal(pixels.map, encoded.map)


def test_the_job_of_routes_says_over_the_lane_what_it_says_over_http(lane, http):
    pairs = {"NODES": np.array([[0, 3], [0, 15], [7, 7]], np.int32)}
    for _ in range(3):
        same(lane.infer("town", pairs), http.infer("town", pairs), kind="")
    assert lane.infer("town", pairs, ["COST_MS"])["COST_MS"].shape == (3,)


def test_a_wrong_picture_is_told_the_same_over_both(lane, http):
    for image in (np.zeros((10, 10, 3), np.uint8), b"no picture", b""):
        sentences = []
        for client in (lane, http):
            with pytest.raises(Invalid) as caught:
                client.inspect("flange", image)
            sentences.append(str(caught.value))
        assert sentences[0] == sentences[1]


# ---- errors

@pytest.mark.parametrize("model, inputs, kind", [
    ("nobody", {"INPUT0": np.zeros(1, np.float32)}, NotFound),
    ("identity", {"INPUT0": np.zeros((1, 17), np.float32)}, Invalid),
    ("identity", {"INPUT0": np.zeros((9999, 16), np.float32)}, Invalid),
    ("identity", {"INPUT0": np.zeros((0, 16), np.float32)}, Invalid),
    ("simple", {"INPUT0": np.zeros((1, 16), np.int32)}, Invalid),
    ("simple", {"INPUT0": np.zeros((1, 16), np.int32), "INPUT1": np.zeros((2, 16), np.int32)}, Invalid),
    ("free", {"INPUT0": np.zeros((5, 3), np.float32)}, Invalid),
    ("failing", {"INPUT0": np.zeros((1, 1), np.int32)}, Failed),
])
def test_errors_are_the_sentences_of_http(lane, http, model, inputs, kind):
    sentences = []
    for client in (lane, http):
        with pytest.raises(AisleError) as caught:
            client.infer(model, inputs)
        assert type(caught.value) is kind
        sentences.append(str(caught.value))
    # Runs are counted, and the failing model says which one it was.
    assert sentences[0].split(" in run")[0] == sentences[1].split(" in run")[0]


def test_wrong_names_and_types_are_told_before_anything_is_sent(lane):
    with pytest.raises(Invalid, match="unexpected inference input 'X'"):
        lane.infer("identity", {"X": np.zeros(1, np.float32)})
    with pytest.raises(Invalid, match="data-type is 'float64'"):
        lane.infer("identity", {"INPUT0": np.zeros((1, 16))})
    with pytest.raises(Invalid, match="unexpected inference output 'Y'"):
        lane.infer("identity", CASES["identity"], ["Y"])


def test_a_slot_that_is_too_small_is_said_with_its_size(lane_server):
    with Client(lane_server.path, slot_mb=4096 / (1 << 20)) as small:
        with pytest.raises(TooLarge, match="larger slot_mb"):
            small.infer("conv", {"image": np.zeros((1, 3, 64, 64), np.float32)})
        with pytest.raises(TooLarge, match="need more than the"):
            small.infer("identity", {"INPUT0": np.zeros((60, 16), np.float32)})
        assert small.infer("identity", {"INPUT0": np.zeros((8, 16), np.float32)})["OUTPUT0"].shape == (8, 16)


def test_a_deadline_that_cannot_be_met_is_refused_at_once(lane):
    for _ in range(4):      # until the model's 300 ms are known
        lane.infer("slow", {"INPUT0": np.zeros((1, 1), np.int32)})
    begin = time.perf_counter()
    with pytest.raises(Busy, match="could not answer within the deadline") as caught:
        lane.infer("slow", {"INPUT0": np.zeros((1, 1), np.int32)}, deadline_ms=20)
    assert time.perf_counter() - begin < 0.1 and caught.value.retry_after_s >= 0
    lane.infer("slow", {"INPUT0": np.zeros((1, 1), np.int32)}, deadline_ms=5000)


# ---- around it

def test_models_and_readiness_are_told_alike(lane, http):
    assert lane.models() == http.models()
    assert ("flange", "1", "inspect") in lane.models()
    assert lane.ready() and http.ready()


def test_only_our_user_may_touch_the_socket(lane_server):
    assert stat.S_IMODE(os.stat(lane_server.path).st_mode) == 0o600


def test_a_handle_follows_new_versions_and_says_when_the_tensors_change(launch, raw_client, tmp_path):
    models, path = tmp_path / "models", tmp_path / "lane"
    (models / "m" / "1").mkdir(parents=True)
    onnx_models.identity(models / "m" / "1" / "model.onnx", (4,))
    (tmp_path / "a.toml").write_text(f'[lane]\nsocket = "{path}"\n[repository]\npoll_s = 0\n')
    served = launch(models, "--config", str(tmp_path / "a.toml"))
    with Client(str(path)) as client, raw_client(str(path)).share() as raw:
        handle = raw.open("m")
        tensor = wire.Tensor(0, wire.NUMBERS["FP32"], 0, 0, 16, (1, 4))
        call = wire.pack_call(3, handle, 0, [tensor], (64, 4096))
        assert raw.ask(call).status == wire.OK
        assert client.infer("m", {"INPUT0": np.ones((1, 4), np.float32)})["OUTPUT0"].shape == (1, 4)
        old = client.prepare("m", {"INPUT0": (1, 4)})
        shutil.copytree(models / "m" / "1", models / "m" / "2")
        assert served.ask("POST", "/v2/repository/models/m/load", {}).status == 200
        assert raw.ask(call).status == wire.OK
        onnx_models.identity(models / "m" / "2" / "model.onnx", (5,))
        assert served.ask("POST", "/v2/repository/models/m/load", {}).status == 200
        answer = raw.ask(call)
        assert answer.status == wire.CHANGED and b"open it again" in answer.tail
        with pytest.raises(Invalid, match="open it again"):
            old.run()
        assert client.prepare("m", {"INPUT0": (1, 5)}).run()["OUTPUT0"].shape == (1, 5)
        assert client.infer("m", {"INPUT0": np.ones((1, 5), np.float32)})["OUTPUT0"].shape == (1, 5)
        assert served.ask("POST", "/v2/repository/models/m/unload", {}).status == 200
        with pytest.raises(NotFound):
            client.infer("m", {"INPUT0": np.ones((1, 5), np.float32)})


def test_a_server_that_stops_answers_what_runs_and_takes_its_socket_away(launch, null_model, tmp_path):
    path = tmp_path / "lane"
    null_model(tmp_path / "models", "slow", "int32", (1,), max_batch=1, sleep_ms=500)
    (tmp_path / "a.toml").write_text(f'[lane]\nsocket = "{path}"\n')
    served = launch(tmp_path / "models", "--config", str(tmp_path / "a.toml"))
    question = {"INPUT0": np.full((1, 1), 3, np.int32)}
    with Client(str(path)) as client, ThreadPoolExecutor(1) as thread:
        running = thread.submit(client.infer, "slow", question)
        time.sleep(0.2)
        served.process.terminate()
        assert running.result()["OUTPUT0"] == 3
        with pytest.raises(AisleError, match=r"shutting down|has closed the lane"):
            client.infer("slow", question)
        assert served.process.wait(20) == 0
    assert not path.exists()


@pytest.mark.parametrize("text, words", [
    ('socket = "/no/such/folder/lane"', "cannot listen on"), ('socket = "/dev/null"', "is no socket"),
    ('socket = "x"\nusers = ["nobody-here"]', "no user 'nobody-here'"),
])
def test_a_lane_that_cannot_be_opened_ends_the_server_with_a_sentence(tmp_path, text, words):
    (tmp_path / "models").mkdir()
    (tmp_path / "a.toml").write_text(f"[lane]\n{text}\n")
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", "serve", "--models", str(tmp_path / "models"), "--port", "0",
                           "--config", str(tmp_path / "a.toml")], capture_output=True, text=True, timeout=60, check=False,
                          cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


# ---- the listener, in this process

class Host:
    """As much of a server as the listener asks for."""

    draining = False
    requests = in_flight = 0
    repository = pool = None


async def refused(path: Path) -> str:
    """The sentence with which a connection is refused."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setblocking(False)
        sock.connect(str(path))
        return read_answer(await asyncio.get_running_loop().sock_recv(sock, 4096)).tail.decode()


async def test_another_user_is_refused(tmp_path):
    lane = Lane(LaneConfig(socket=str(tmp_path / "s")), Host())
    lane.uids = {os.geteuid() + 1}
    assert f"user {os.geteuid()} may not use this lane" in await refused(tmp_path / "s")
    lane.stop_listening()
    assert not (tmp_path / "s").exists()


async def test_users_of_the_configuration_may_connect(tmp_path):
    lane = Lane(LaneConfig(socket=str(tmp_path / "s"), users=("12345", "root")), Host())
    assert lane.uids == {os.geteuid(), 12345, 0}
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o666
    lane.stop_listening()
    with pytest.raises(ConfigError, match="no user 'nobody-here'"):
        Lane(LaneConfig(socket=str(tmp_path / "s"), users=("nobody-here",)), Host())


async def test_a_connection_that_says_nothing_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "HELLO_S", 0.05)
    lane = Lane(LaneConfig(socket=str(tmp_path / "s")), Host())
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.setblocking(False)
        sock.connect(str(tmp_path / "s"))
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 10), 5) == b""
    assert not lane.connections and not lane.processes
    lane.stop_listening()


async def test_a_client_that_leaves_right_after_hello_is_no_error(tmp_path, make_memory):
    host, wrong = Host(), []
    host.pool = Pool(1)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    lane = Lane(LaneConfig(socket=str(tmp_path / "s")), host)
    for _ in range(3):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
            sock.connect(str(tmp_path / "s"))
            descriptor = make_memory(4096)
            socket.send_fds(sock, [wire.HELLO_BYTES.pack(wire.HELLO, wire.PROTOCOL, wire.MAGIC, 4096, 1, 0)], [descriptor])
            os.close(descriptor)
        for _ in range(200):
            await asyncio.sleep(0.01)
            if not lane.connections and not lane.budget.used:
                break
    gc.collect()
    assert not lane.connections and lane.budget.used == 0 and wrong == []
    lane.stop_listening()
    host.pool.close()


async def test_places_are_bounded_and_one_process_gets_half(tmp_path):
    lane = Lane(LaneConfig(socket=str(tmp_path / "s"), max_connections=4), Host())
    held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    for sock in held:
        sock.connect(str(tmp_path / "s"))
    assert "holds 2 connections, half of lane.max_connections" in await refused(tmp_path / "s")
    lane.connections.update(dict.fromkeys((object(), object()), 1))
    assert "holds 4 connections, its limit" in await refused(tmp_path / "s")
    for sock in held:
        sock.close()
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not lane.processes:
            break
    assert not lane.processes
    lane.stop_listening()


async def test_the_socket_of_a_dead_server_is_replaced_and_nothing_else(tmp_path):
    path = tmp_path / "s"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(str(path))
    dead.close()
    lane = Lane(LaneConfig(socket=str(path)), Host())
    with pytest.raises(ConfigError, match="another server listens"):
        Lane(LaneConfig(socket=str(path)), Host())
    lane.stop_listening()
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is no socket"):
        Lane(LaneConfig(socket=str(path)), Host())
    assert path.read_text() == "mine"
    with pytest.raises(ConfigError, match="longer than the 107 bytes"):
        Lane(LaneConfig(socket=str(tmp_path / ("x" * 120))), Host())
    with pytest.raises(ConfigError, match="cannot listen on"):
        Lane(LaneConfig(socket=str(tmp_path / "no" / "s")), Host())
