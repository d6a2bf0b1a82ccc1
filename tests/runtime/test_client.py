"""The clients: the same calls over both ways, many at once, and the C header with its sample program."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import threading
from pathlib import Path

import aisle.runtime.client as package
import numpy as np
import pytest
from aisle.runtime.client import AsyncClient, Client
from aisle.runtime.errors import Busy, Failed, Invalid, NotFound

FOLDER = Path(package.__file__).parent


@pytest.fixture(scope="module", params=["lane", "http"])
def address(request, lane_server):
    return lane_server.path if request.param == "lane" else lane_server.http


@pytest.fixture
def client(address):
    with Client(address) as made:
        yield made


def row(n: float) -> dict[str, np.ndarray]:
    return {"INPUT0": np.full((1, 16), n, np.float32)}


def test_infer_gives_every_output_or_those_asked_for(client):
    inputs = {"INPUT0": np.full((2, 16), 7, np.int32), "INPUT1": np.full((2, 16), 2, np.int32)}
    out = client.infer("simple", inputs)
    assert (out["OUTPUT0"] == 9).all() and (out["OUTPUT1"] == 5).all()
    assert list(client.infer("simple", inputs, ["OUTPUT1"])) == ["OUTPUT1"]
    assert list(client.infer("simple", inputs, version="1", priority=1)) == ["OUTPUT0", "OUTPUT1"]


def test_results_are_the_callers_own(client):
    first = client.infer("identity", row(1))["OUTPUT0"]
    client.infer("identity", row(2))
    assert (first == 1).all()
    first[:] = 3


def test_plain_bytes_and_text_are_a_tensor_of_one_element(client):
    assert client.infer("one_text", {"INPUT0": b"\x00\x01"})["OUTPUT0"].tolist() == [b"\x00\x01"]
    assert client.infer("one_text", {"INPUT0": "grün"})["OUTPUT0"].tolist() == ["grün".encode()]


def test_inputs_need_not_lie_in_one_piece(client):
    image = np.arange(64, dtype=np.float32).reshape(4, 16)
    np.testing.assert_array_equal(client.infer("identity", {"INPUT0": image[::2]})["OUTPUT0"], image[::2])


def test_a_prepared_call_is_filled_and_repeated(client):
    call = client.prepare("simple", {"INPUT0": (1, 16), "INPUT1": (1, 16)}, ["OUTPUT0"])
    for i in range(3):
        call.inputs["INPUT0"][:] = i
        call.inputs["INPUT1"][:] = 10
        assert (call.run(deadline_ms=5000)["OUTPUT0"] == i + 10).all()
    call.close()
    call.close()
    with pytest.raises(Invalid, match="unexpected inference input 'X'"):
        client.prepare("simple", {"X": (1,)})


def test_errors_are_of_their_classes(client):
    with pytest.raises(NotFound, match="'nobody' is not found"):
        client.infer("nobody", row(1))
    with pytest.raises(Invalid, match="unexpected shape"):
        client.infer("identity", {"INPUT0": np.zeros((1, 3), np.float32)})
    with pytest.raises(Failed, match="fail_every"):
        client.infer("failing", {"INPUT0": np.zeros((1, 1), np.int32)})
    with pytest.raises(NotFound):
        client.infer("identity", row(1), version="9")
    assert (client.infer("identity", row(4))["OUTPUT0"] == 4).all()


def test_a_busy_model_says_when_to_ask_again(address):
    busy: list[Busy] = []

    def ask() -> None:
        with Client(address) as one:
            try:
                one.infer("slow", {"INPUT0": np.zeros((1, 1), np.int32)})
            except Busy as error:
                busy.append(error)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 <= len(busy) <= 4 and all(error.retry_after_s > 0 for error in busy)


def test_inspect_takes_files_and_pixels(client, pictures):
    import cv2
    told = client.inspect("flange", pictures.good[0].read_bytes())
    assert (told.verdict == "pass") == (told.score <= told.threshold) and told.map.ndim == 2
    for path in pictures.bad:
        bad = client.inspect("flange", cv2.imread(str(path)), deadline_ms=20_000, priority=1)
        if bad.verdict == "reject":
            assert bad.score > bad.threshold and bad.regions[0].area > 0
    with pytest.raises(Invalid, match="expected a picture"):
        client.inspect("flange", np.zeros((4, 4), np.uint8))


def test_models_and_readiness(client):
    assert client.ready() and client.blockers() == ""
    jobs = {model.name: model.job for model in client.models()}
    assert jobs["flange"] == "inspect" and jobs["identity"] == ""


def test_several_threads_may_share_a_client(client):
    wrong: list[float] = []

    def ask(n: int) -> None:
        wrong.extend(n for _ in range(30) if not (client.infer("identity", row(n))["OUTPUT0"] == n).all())

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_a_server_a_sentence_says_so(tmp_path):
    with pytest.raises(Failed, match=r"no server answers on the lane .*nobody"):
        Client(str(tmp_path / "nobody"))
    with pytest.raises(Failed, match="no server answers at 127"), Client("http://127.0.0.1:9") as client:
        client.infer("identity", row(1))
    with pytest.raises(Invalid, match="expected an address"):
        Client("http:///")


def test_the_example_of_the_page_works(lane_server, capsys):
    page = (FOLDER.parents[1] / "docs" / "lane.md").read_text("utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    assert "/run/aisle/lane" in example
    exec(compile(example.replace("/run/aisle/lane", lane_server.path), "lane.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[-1].startswith("[[2. 2.")


# ---- asyncio

async def test_many_calls_at_once_each_get_their_own_answer(address):
    async with AsyncClient(address, slots=8) as client:
        answers = await asyncio.gather(*(client.infer("identity", row(n)) for n in range(100)))
        assert [answer["OUTPUT0"][0, 0] for answer in answers] == list(range(100))
        assert await client.ready() and ("identity", "1", "") in await client.models()


async def test_a_cancelled_call_does_not_spoil_its_slot(address):
    async with AsyncClient(address, slots=1) as client:
        slow = asyncio.create_task(client.infer("slow", {"INPUT0": np.full((1, 1), 9, np.int32)}))
        await asyncio.sleep(0.1)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await client.infer("identity", row(5)))["OUTPUT0"][0, 0] == 5
        with pytest.raises(NotFound):
            await client.infer("nobody", row(1))
        assert (await client.infer("identity", row(6)))["OUTPUT0"][0, 0] == 6


async def test_inspect_from_asyncio(address, pictures):
    async with AsyncClient(address) as client:
        files = [path.read_bytes() for path in (*pictures.good, *pictures.bad)]
        told = await asyncio.gather(*(client.inspect("flange", data) for data in files))
        for data, one in zip(files, told, strict=True):
            assert one.score == (await client.inspect("flange", data)).score


async def test_an_unconnected_client_says_so(lane_server):
    with pytest.raises(Failed, match="use it with `async with`"):
        await AsyncClient(lane_server.path).infer("identity", row(1))


# ---- C

@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """The sample program, built without a warning."""
    program = tmp_path_factory.mktemp("c") / "sample"
    compiler = shutil.which("gcc") or shutil.which("cc") or "cc"
    subprocess.run([compiler, "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic", "-o", str(program),
                    str(FOLDER / "aisle_lane_sample.c")], check=True)
    return program


def test_the_header_is_cpp_too(tmp_path):
    compiler = shutil.which("g++") or shutil.which("c++") or "c++"
    subprocess.run([compiler, "-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                    str(FOLDER / "aisle_lane_sample.c")], check=True)


def test_a_c_program_asks_a_model(sample, lane_server):
    done = subprocess.run([sample, lane_server.path, "identity"], capture_output=True, text=True, timeout=60, check=True)
    assert "OUTPUT0: 64 bytes, first 1\n" in done.stdout
    assert re.search(r"median [\d.]+ us.* answered by onnx fp32\n", done.stdout)


def test_a_c_program_asks_a_station(sample, lane_server, pictures):
    for path in (pictures.good[0], pictures.bad[0]):
        done = subprocess.run([sample, lane_server.path, "flange", path], capture_output=True, text=True, timeout=60,
                              check=True)
        with Client(lane_server.path) as client:
            told = client.inspect("flange", path.read_bytes())
        lines = [f"VERDICT {told.verdict}", f"SCORE {told.score:.6f}", f"THRESHOLD {told.threshold:.6f}"]
        assert done.stdout.splitlines() == lines


def test_a_c_program_is_told_what_is_wrong(sample, lane_server, tmp_path):
    def fails(*words: str | Path) -> str:
        done = subprocess.run([sample, *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        return done.stderr

    assert "Request for unknown model: 'nobody' is not found" in fails(lane_server.path, "nobody")
    assert "No such file" in fails(tmp_path / "none", "identity")
    (tmp_path / "text").write_text("no picture")
    assert "picture" in fails(lane_server.path, "flange", tmp_path / "text")
