"""The stock Python clients work unchanged: synchronous, asyncio, and through shared memory."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

import numpy as np
import pytest
import tritonclient.http as stock
import tritonclient.http.aio as stock_aio
from tritonclient.utils import InferenceServerException

A, B = np.arange(16, dtype="i4").reshape(1, 16), np.full((1, 16), 5, "i4")


@pytest.fixture
def client(server) -> Iterator[stock.InferenceServerClient]:
    with stock.InferenceServerClient(f"{server.host}:{server.port}") as made:
        yield made


def inputs(binary: bool = True, module=stock) -> list[stock.InferInput]:
    made = []
    for name, value in (("INPUT0", A), ("INPUT1", B)):
        one = module.InferInput(name, value.shape, "INT32")
        one.set_data_from_numpy(value, binary_data=binary)
        made.append(one)
    return made


def check(result) -> None:
    assert np.array_equal(result.as_numpy("OUTPUT0"), A + B)
    assert np.array_equal(result.as_numpy("OUTPUT1"), A - B)


# ---- synchronous

def test_health_and_metadata(client) -> None:
    assert client.is_server_live() and client.is_server_ready(query_params={"x": 1})
    assert client.is_model_ready("simple") and client.is_model_ready("simple", "1")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("simple", "9")
    assert client.get_server_metadata()["name"] == "aisle"
    assert client.get_model_metadata("simple", "1")["platform"] == "onnxruntime_onnx"
    assert client.get_model_config("simple")["max_batch_size"] == 8
    with pytest.raises(InferenceServerException, match="unknown model: 'nobody'"):
        client.get_model_metadata("nobody")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_inference_in_every_form(client, binary: bool, packed: str | None) -> None:
    check(client.infer("simple", inputs(binary), request_compression_algorithm=packed, response_compression_algorithm=packed))
    wishes = [stock.InferRequestedOutput(name, binary_data=not binary) for name in ("OUTPUT1", "OUTPUT0")]
    result = client.infer("simple", inputs(binary), outputs=wishes, request_id="abc", model_version="1",
                          priority=1, timeout=5_000_000, request_compression_algorithm=packed)
    check(result)
    assert result.get_response()["id"] == "abc"


def test_strings_halves_and_classes(client) -> None:
    words = np.array([["a", "żółw", "", "大"]], object)
    one = stock.InferInput("INPUT0", words.shape, "BYTES")
    one.set_data_from_numpy(words)
    told = client.infer("text", [one]).as_numpy("OUTPUT0")
    assert [w.decode() for w in told.ravel()] == words.ravel().tolist()
    half = np.array([[1.5, -2, 0, 65504]], "f2")
    one = stock.InferInput("INPUT0", half.shape, "FP16")
    one.set_data_from_numpy(half)
    assert np.array_equal(client.infer("identity_float16", [one]).as_numpy("OUTPUT0"), half)
    one = stock.InferInput("INPUT0", (1, 4), "FP32")
    one.set_data_from_numpy(np.array([[0.5, 3.3, 1, 2]], "f4"))
    wish = stock.InferRequestedOutput("OUTPUT0", class_count=2)
    assert client.infer("labelled", [one], outputs=[wish]).as_numpy("OUTPUT0").tolist() == [
        [b"3.300000:1:bee", b"2.000000:3:dog"]]


def test_asynchronous_calls_of_the_synchronous_client(server) -> None:
    with stock.InferenceServerClient(f"{server.host}:{server.port}", concurrency=4) as client:
        for waiting in [client.async_infer("simple", inputs()) for _ in range(16)]:
            check(waiting.get_result())


def test_a_sequence(client) -> None:
    def step(value: int, **flags: bool) -> int:
        one = stock.InferInput("INPUT", (1, 1), "INT32")
        one.set_data_from_numpy(np.array([[value]], "i4"))
        return int(client.infer("sequence", [one], sequence_id=1000, **flags).as_numpy("OUTPUT")[0, 0])
    # The model adds the sequence's number, 1 at its start and 10 at its end.
    assert (step(1, sequence_start=True), step(1), step(1, sequence_end=True)) == (1002, 1001, 1011)


@pytest.mark.parametrize(("model", "shape", "dtype", "text"), [
    ("nobody", (1, 16), "INT32", "unknown model: 'nobody'"), ("simple", (1, 16), "FP32", "data-type is 'FP32'"),
    ("simple", (1, 15), "INT32", "Got input|unexpected shape"), ("simple", (1, 16), "INT32", "missing required input"),
])
def test_the_users_mistakes_arrive_as_sentences(client, model: str, shape: tuple[int, ...], dtype: str, text: str) -> None:
    one = stock.InferInput("INPUT0", shape, dtype)
    one.set_data_from_numpy(np.zeros(shape, {"INT32": "i4", "FP32": "f4"}[dtype]))
    with pytest.raises(InferenceServerException, match=text):
        client.infer(model, [one])


def test_statistics_repository_and_settings(client) -> None:
    client.infer("simple", inputs())
    (item,) = client.get_inference_statistics("simple")["model_stats"]
    assert item["version"] == "1" and item["inference_stats"]["success"]["count"] >= 1
    assert len(client.get_inference_statistics()["model_stats"]) > 1
    assert {"name": "simple", "version": "1", "state": "READY"} in client.get_model_repository_index()
    client.unload_model("conv")
    assert not client.is_model_ready("conv")
    client.load_model("conv")
    assert client.is_model_ready("conv")
    with pytest.raises(InferenceServerException, match="configuration is not accepted"):
        client.load_model("conv", config="{}")
    before = client.get_trace_settings()
    assert client.update_trace_settings(settings={"trace_rate": "7"})["trace_rate"] == "7"
    assert client.update_trace_settings(settings={"trace_rate": None}) == before
    logging = client.get_log_settings()
    assert client.update_log_settings(logging) == logging


# ---- shared memory: in a process of its own, whose client library tracks and removes regions on its own account

SHARED = """
import sys
import numpy as np
import tritonclient.http as stock
import tritonclient.utils.shared_memory as shm
url, name = sys.argv[1:]
client = stock.InferenceServerClient(url)
a, b = np.arange(16, dtype="i4").reshape(1, 16), np.full((1, 16), 5, "i4")
region = shm.create_shared_memory_region(name, "/" + name, 256)
shm.set_shared_memory_region(region, [a, b])
client.register_system_shared_memory(name, "/" + name, 256)
status = client.get_system_shared_memory_status()
assert status == [{"name": name, "key": "/" + name, "offset": 0, "byte_size": 256}], status
asked = [stock.InferInput("INPUT0", [1, 16], "INT32"), stock.InferInput("INPUT1", [1, 16], "INT32")]
for i, one in enumerate(asked):
    one.set_shared_memory(name, 64, offset=64 * i)
wishes = [stock.InferRequestedOutput("OUTPUT0"), stock.InferRequestedOutput("OUTPUT1", binary_data=True)]
wishes[0].set_shared_memory(name, 64, offset=128)
result = client.infer("simple", asked, outputs=wishes)
assert "data" not in result.get_output("OUTPUT0")
assert np.array_equal(shm.get_contents_as_numpy(region, np.int32, [1, 16], 128), a + b)
assert np.array_equal(result.as_numpy("OUTPUT1"), a - b)
client.unregister_system_shared_memory(name)
assert client.get_system_shared_memory_status() == []
client.register_system_shared_memory(name, "/" + name, 256)
client.unregister_system_shared_memory()
client.unregister_cuda_shared_memory()
assert client.get_cuda_shared_memory_status() == []
shm.destroy_shared_memory_region(region)
print("done")
"""


def test_system_shared_memory(server) -> None:
    name = f"aisle-test-{uuid.uuid4().hex}"
    done = subprocess.run([sys.executable, "-c", SHARED, f"{server.host}:{server.port}", name], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0 and "done" in done.stdout, done.stderr


# ---- asyncio

async def test_the_aio_client(server) -> None:
    async with stock_aio.InferenceServerClient(f"{server.host}:{server.port}") as client:
        assert await client.is_server_ready() and await client.is_model_ready("simple")
        assert (await client.get_model_metadata("simple"))["versions"] == ["1"]
        for packed in (None, "gzip", "deflate"):
            check(await client.infer("simple", inputs(module=stock_aio), request_compression_algorithm=packed,
                                     response_compression_algorithm=packed))
        wishes = [stock_aio.InferRequestedOutput(name, binary_data=False) for name in ("OUTPUT0", "OUTPUT1")]
        check(await client.infer("simple", inputs(binary=False, module=stock_aio), outputs=wishes))
        with pytest.raises(InferenceServerException, match="unknown model"):
            await client.infer("nobody", inputs(module=stock_aio))
        assert (await client.get_inference_statistics("simple"))["model_stats"][0]["version"] == "1"
