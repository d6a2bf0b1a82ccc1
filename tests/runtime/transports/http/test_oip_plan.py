"""Remembered requests are answered as the ordinary way answers them, and nothing is remembered that may change."""

import asyncio
import json
import re
from pathlib import Path

import numpy as np
import pytest
from aisle.models.make.onnx_models import identity
from aisle.runtime.app import App
from aisle.runtime.config import Config, RepositoryConfig, ServerConfig
from aisle.runtime.transports.http.frame import Frame
from aisle.runtime.transports.http.oip_plan import KEPT, KEPT_TEXT

BINARY_OUT = [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]


def block(shape: tuple[int, ...], datatype: str = "FP32", size: int | None = None) -> dict:
    count = int(np.prod(shape)) * {"FP32": 4, "BOOL": 1}[datatype]
    return {"name": "INPUT0", "shape": list(shape), "datatype": datatype,
            "parameters": {"binary_data_size": count if size is None else size}}


def made(document: dict, data: bytes = b"") -> tuple[bytes, dict[str, str]]:
    """(body, headers by lower-case name)."""
    text = json.dumps(document).encode()
    return text + data, {"host": "localhost", "inference-header-content-length": str(len(text))}


def steady(answer: bytes) -> bytes:
    """An HTTP answer without the times, which differ."""
    return re.sub(rb"dur=[0-9.]+", b"dur=", answer)


class Served:
    """A server without sockets whose models are known to be cheap."""

    def __init__(self, root: Path) -> None:
        for name, dtype in (("identity", "float32"), ("flags", "bool")):
            (root / name / "1").mkdir(parents=True)
            identity(root / name / "1" / "model.onnx", (16,), dtype)
        self.app = App(Config(server=ServerConfig(port=0), repository=RepositoryConfig(path=str(root), poll_s=0)))
        self.frame = Frame(self.app.context)

    async def __aenter__(self) -> "Served":
        await self.app.start()
        while self.app.repository.starting:
            await asyncio.sleep(0.01)
        for served in self.app.repository.served():
            assert served.batcher is not None
            document = {"inputs": [block((1, 16), "BOOL" if served.name == "flags" else "FP32")], "outputs": BINARY_OUT}
            data = bytes(16) if served.name == "flags" else bytes(64)
            await self.ordinary(*made(document, data), model=served.name)    # so that its face is known
            served.batcher._calm = 1 << 30                                    # cheap, however busy this machine is
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.app.stop()

    async def now(self, body: bytes, headers: dict, model: str = "identity") -> bytes:
        """The shortest way, once the model's thread is parked."""
        while not self.app.repository.get(model).ready_now:
            await asyncio.sleep(0.001)
        wire = self.frame.infer_now(model, None, headers, body)
        assert wire is not None
        return wire

    async def ordinary(self, body: bytes, headers: dict, model: str = "identity") -> bytes:
        return (await self.frame.infer(model, None, headers, body)).wire()

    def plans(self, model: str = "identity") -> dict:
        return self.frame.oip._faces[self.app.repository.get(model)].plans


VALUES = np.arange(48, dtype=np.float32)
REQUESTS = {
    "one row": ({"inputs": [block((1, 16))], "outputs": BINARY_OUT}, VALUES[:16], True),
    "three rows": ({"inputs": [block((3, 16))], "outputs": BINARY_OUT}, VALUES, True),
    "all outputs binary": ({"inputs": [block((1, 16))], "parameters": {"binary_data_output": True}}, VALUES[:16], True),
    "an id": ({"id": "7", "inputs": [block((1, 16))], "outputs": BINARY_OUT}, VALUES[:16], False),
    "JSON out": ({"inputs": [block((1, 16))]}, VALUES[:16], False),
    "classes out": ({"inputs": [block((1, 16))], "outputs": [{"name": "OUTPUT0", "parameters": {
        "classification": 2, "binary_data": True}}]}, VALUES[:16], False),
    "JSON in": ({"inputs": [{"name": "INPUT0", "shape": [1, 16], "datatype": "FP32", "data": VALUES[:16].tolist()}],
                 "outputs": BINARY_OUT}, VALUES[:0], False),
    "a long text": ({"inputs": [block((1, 16))], "outputs": BINARY_OUT, "parameters": {"x": "y" * KEPT_TEXT}}, VALUES[:16],
                    False),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_remembered_request_is_answered_alike(name: str, tmp_path: Path) -> None:
    document, values, kept = REQUESTS[name]

    async def run() -> None:
        async with Served(tmp_path) as served:
            for shift in range(3):
                body, headers = made(document, (values + shift).astype(np.float32).tobytes())
                if "data" in document["inputs"][0]:
                    body, headers = made(document)      # its data stand in the text
                want = steady(await served.ordinary(body, headers))
                assert want.startswith(b"HTTP/1.1 200")
                assert steady(await served.now(body, headers)) == want
                assert len(served.plans()) == kept
                assert steady(await served.now(bytes(body), dict(headers))) == want
                assert steady(await served.now(bytearray(body), headers)) == want
    asyncio.run(run())


def test_a_body_that_does_not_fit_its_text_is_refused_as_ever(tmp_path: Path) -> None:
    document = REQUESTS["one row"][0]

    async def run() -> None:
        async with Served(tmp_path) as served:
            body, headers = made(document, VALUES[:16].tobytes())
            assert (await served.now(body, headers)).startswith(b"HTTP/1.1 200") and served.plans()
            for wrong in (body[:-4], body + b"more", body[:int(headers["inference-header-content-length"])]):
                told = steady(await served.now(wrong, headers))
                assert told.startswith(b"HTTP/1.1 400") and told == steady(await served.ordinary(wrong, headers))
            assert (await served.now(body, headers)).startswith(b"HTTP/1.1 200")
    asyncio.run(run())


def test_booleans_are_made_of_bytes_and_never_remembered(tmp_path: Path) -> None:
    async def run() -> None:
        async with Served(tmp_path) as served:
            data = bytes([0, 1, 2, 255] * 4)
            body, headers = made({"inputs": [block((1, 16), "BOOL")], "outputs": BINARY_OUT}, data)
            for _ in range(2):
                assert (await served.now(body, headers, "flags")).endswith(bytes([0, 1, 1, 1] * 4))
            assert not served.plans("flags")
    asyncio.run(run())


def test_no_more_plans_than_the_limit(tmp_path: Path) -> None:
    async def run() -> None:
        async with Served(tmp_path) as served:
            for number in range(2 * KEPT + 3):
                document = {**REQUESTS["one row"][0], "parameters": {"mark": number}}
                body, headers = made(document, VALUES[:16].tobytes())
                assert (await served.now(body, headers)).startswith(b"HTTP/1.1 200")
                assert 0 < len(served.plans()) <= KEPT
    asyncio.run(run())


def test_a_deadline_far_away_is_met_at_once_and_a_near_one_is_the_schedulers_affair(tmp_path: Path) -> None:
    async def run() -> None:
        async with Served(tmp_path) as served:
            body, headers = made(REQUESTS["one row"][0], VALUES[:16].tobytes())
            want = steady(await served.now(body, headers))
            assert steady(await served.now(body, {**headers, "aisle-deadline-ms": "50"})) == want
            for text in ("1.5", "0", "soon", "-3", "nan"):
                assert served.frame.infer_now("identity", None, {**headers, "aisle-deadline-ms": text}, body) is None
    asyncio.run(run())
