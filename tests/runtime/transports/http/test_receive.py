"""Large bodies: read in place in whatever pieces they come, counted, and their memory never used twice at once."""

import asyncio
import contextlib
import json
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import uvloop
from aisle.models.make.onnx_models import identity
from aisle.runtime.app import App
from aisle.runtime.config import Config, RepositoryConfig, ServerConfig
from aisle.runtime.errors import Busy
from aisle.runtime.transports.http.receive import KEPT, KEPT_BYTES, SMALL, Bodies
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH = 100_000
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def test_bodies_are_counted_and_bounded() -> None:
    bodies = Bodies(1000)
    one = bodies.take(600)
    assert len(one) == bodies.held == 600 and not bodies.room(401) and bodies.room(400)
    with pytest.raises(Busy, match="limit is 0 MiB"):
        bodies.hold(401)
    bodies.give(one)
    assert bodies.held == 0 and bodies.room(5000), "one request may always come"


def test_memory_is_used_again_only_when_nobody_looks_at_it() -> None:
    bodies = Bodies(1 << 30)
    body = bodies.take(SMALL)
    first = id(body)
    array = np.frombuffer(body, np.uint8)
    bodies.give(body)
    del body
    other = bodies.take(SMALL)
    assert other is not array.base and id(other) != first and array.size == SMALL
    bodies.give(other)
    second = id(other)
    del other
    assert id(bodies.take(SMALL)) == second


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=60))
def test_whatever_is_taken_and_given_what_is_kept_stays_bounded(steps: list[tuple[int, bool]]) -> None:
    bodies = Bodies(1 << 40)
    taken: list[bytearray] = []
    for size, back in steps:
        if back and taken:
            body = taken.pop()
            bodies.give(body)
            del body
        else:
            taken.append(bodies.take(size * SMALL))
        assert len({id(b) for b in (*taken, *bodies._free)}) == len(taken) + len(bodies._free)
        assert bodies.held == sum(map(len, taken))
        assert bodies._free_bytes == sum(map(len, bodies._free)) <= KEPT_BYTES and len(bodies._free) <= KEPT


# ---- through a server

def request(seed: int, length: int = LENGTH) -> tuple[bytes, bytes]:
    """(a request with a large tensor, the tensor's bytes)."""
    values = np.random.default_rng(seed).random(LENGTH, np.float32).tobytes()
    text = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, length], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 4 * LENGTH}}],
                       "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]}).encode()
    head = (f"POST /v2/models/identity/infer HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: {len(text)}\r\n"
            f"Content-Length: {len(text) + len(values)}\r\n\r\n").encode()
    return head + text + values, values


GET = b"GET /v2/models/identity HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")))
    return int(head.split()[1]), await reader.readexactly(size)


@contextlib.asynccontextmanager
async def server(root: Path, **settings: object) -> AsyncIterator[App]:
    (root / "identity" / "1").mkdir(parents=True)
    identity(root / "identity" / "1" / "model.onnx", (LENGTH,), "float32")
    app = App(Config(server=ServerConfig(port=0, **settings), repository=RepositoryConfig(path=str(root), poll_s=0)))
    await app.start()
    while app.repository.starting:
        await asyncio.sleep(0.01)
    try:
        yield app
    finally:
        await app.stop()


def over(loop: str, main: object) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(main, 60))


@pytest.mark.parametrize("loop", LOOPS)
def test_large_and_small_requests_on_one_connection(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
            for seed, pieces in enumerate((1, 2, 7, 40, 1, 3)):
                data, values = request(seed)
                for at in range(pieces):
                    writer.write(data[at * len(data) // pieces:(at + 1) * len(data) // pieces])
                    await writer.drain()
                    await asyncio.sleep(0.001)
                status, body = await answer(reader)
                assert status == 200 and body.endswith(values)
                writer.write(GET)
                assert (await answer(reader))[0] == 200
                assert app.context.bodies.held == 0
            writer.close()
    over(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_pipelined_large_requests_are_answered_in_order(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
            made = [request(seed) for seed in range(4)]
            writer.write(made[0][0] + GET + made[1][0] + made[2][0] + GET + made[3][0])
            for want in (made[0], None, made[1], made[2], None, made[3]):
                status, body = await answer(reader)
                assert status == 200 and (body.endswith(want[1]) if want else json.loads(body)["name"] == "identity")
            writer.close()
    over(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_many_connections_keep_their_bodies_apart(loop: str, tmp_path: Path) -> None:
    async def one(port: int, seed: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in range(4):
            data, values = request(100 * seed + turn)
            writer.write(data)
            status, body = await answer(reader)
            assert status == 200 and body.endswith(values)
        writer.close()

    async def main() -> None:
        async with server(tmp_path) as app:
            await asyncio.gather(*(one(app.port, seed) for seed in range(12)))
            assert app.context.bodies.held == 0
    over(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_wrong_large_request_leaves_the_connection_well(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
            writer.write(request(1, LENGTH + 1)[0])
            status, body = await answer(reader)
            assert status == 400 and "byte size mismatch" in json.loads(body)["error"]
            data, values = request(2)
            writer.write(data)
            assert (await answer(reader))[1].endswith(values)
            writer.close()
    over(loop, main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("sent", [300, 5000, 200_000, 400_100])
def test_a_client_that_goes_away_in_its_body_frees_its_bytes(loop: str, sent: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path) as app:
            for end in ("close", "abort"):
                _, writer = await asyncio.open_connection("127.0.0.1", app.port)
                writer.write(request(3)[0][:sent])
                await writer.drain()
                await asyncio.sleep(0.02)
                writer.close() if end == "close" else writer.transport.abort()
            for _ in range(200):
                if app.context.bodies.held == 0:
                    break
                await asyncio.sleep(0.01)
            assert app.context.bodies.held == 0
    over(loop, main())


def test_more_bodies_than_the_server_holds_get_a_503(tmp_path: Path) -> None:
    async def main() -> None:
        async with server(tmp_path, max_bodies_mb=1) as app:
            data, values = request(4)
            waiting = []
            for _ in range(2):
                waiting.append(await asyncio.open_connection("127.0.0.1", app.port))
                waiting[-1][1].write(data[:-100])
                await waiting[-1][1].drain()
                await asyncio.sleep(0.02)
            assert app.context.bodies.held > 700_000
            for packed in (b"", b"Transfer-Encoding: chunked\r\n"):
                reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
                if packed:
                    start = data.index(b"Content-Length: 4")
                    head = data[:start] + packed + data[data.index(b"\r\n", start) + 2:data.index(b"\r\n\r\n") + 4]
                    body = data[data.index(b"\r\n\r\n") + 4:]
                    writer.write(head + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
                else:
                    writer.write(data)
                status, body = await answer(reader)
                assert status == 503 and "server.max_bodies_mb" in json.loads(body)["error"]
                writer.close()
            for reader, writer in waiting:
                writer.write(data[-100:])
                status, body = await answer(reader)
                assert status == 200 and body.endswith(values)
                writer.close()
            assert app.context.bodies.held == 0
    over("uvloop", main())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("loop", LOOPS)
def test_large_bodies_over_tls(loop: str, tmp_path: Path) -> None:
    cert, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "1",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)

    async def main() -> None:
        context = ssl.create_default_context(cafile=cert)
        async with server(tmp_path / "models", tls_cert=cert, tls_key=key) as app:
            reader, writer = await asyncio.open_connection("127.0.0.1", app.port, ssl=context, server_hostname="localhost")
            for seed in range(5):
                data, values = request(seed)
                writer.write(data)
                status, body = await answer(reader)
                assert status == 200 and body.endswith(values)
                writer.write(GET)
                assert (await answer(reader))[0] == 200
            writer.close()
    over(loop, main())
