"""The short way of inference requests: what it takes, what it leaves to aiohttp, and that both agree to the byte."""

import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from aisle.models.make.onnx_models import identity
from aisle.runtime.app import App
from aisle.runtime.config import Config, QueueConfig, RepositoryConfig, ServerConfig
from aisle.runtime.transports.http import connection
from aisle.runtime.transports.http.connection import KEPT_HEADS, parse_head, read_head, remaining
from hypothesis import given
from hypothesis import strategies as st

VALUES = np.arange(16, dtype=np.float32)
HEADER = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, 16], "datatype": "FP32",
                                 "parameters": {"binary_data_size": 64}}],
                     "outputs": [{"name": "OUTPUT0", "parameters": {"binary_data": True}}]}).encode()
BODY = HEADER + VALUES.tobytes()


def request(body: bytes = BODY, extra: str = "", path: str = "/v2/models/identity/infer",
            length: int | None = None) -> bytes:
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nInference-Header-Content-Length: {len(HEADER)}\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n{extra}\r\n").encode() + body


def test_the_private_marks_of_aiohttp_are_where_they_were() -> None:
    assert connection.SHORT_WAY, "aiohttp changed: the short way is closed and every request takes the long one"


@pytest.mark.parametrize("extra", ["Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n",
                                   "Content-Encoding: gzip\r\n", "Connection: close\r\n", "Accept-Encoding: gzip\r\n",
                                   "Content-Length: 5\r\n", " folded: yes\r\n", "no colon\r\n", "X: caf\u00e9\r\n"])
def test_unusual_requests_are_left_to_aiohttp(extra: str) -> None:
    assert parse_head(request(extra=extra)) is None


@pytest.mark.parametrize("path", ["/v2/models/a%20b/infer", "/v2/models/a/infer?x=1", "/v2/models/infer",
                                  "/v2/models/a/versions/x/infer", "/v2/models/a/b/infer"])
def test_unusual_paths_are_left_to_aiohttp(path: str) -> None:
    assert parse_head(request(path=path)) is None


def test_a_plain_request_is_taken() -> None:
    name, version, headers, start, length = parse_head(request(path="/v2/models/m-1.x/versions/3/infer"))
    assert (name, version, length) == ("m-1.x", "3", len(BODY))
    assert headers["host"] == "localhost" and request()[-length:] == BODY and start > 0


def test_remembered_heads_say_what_the_parser_says_and_stay_few() -> None:
    known: dict = {}
    for n in range(3 * KEPT_HEADS):
        one = request(path=f"/v2/models/m{n}/infer")
        assert read_head(one, known) == parse_head(one) == read_head(one + b"more", known)
        assert len(known) <= KEPT_HEADS
    size = len(known)
    for odd in (request(extra="Expect: 100-continue\r\n"), b"POST /v2", request(extra=f"X: {'x' * 2000}\r\n")):
        assert read_head(odd, known) == parse_head(odd)
    assert len(known) == size


def test_a_request_without_host_or_length_is_left() -> None:
    assert parse_head(b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: 1\r\n\r\nx") is None
    assert parse_head(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n\r\n") is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    parse_head(b"POST /v2/models/m/infer HTTP/1.1\r\n" + data)
    remaining(data)


@pytest.mark.parametrize(("data", "left"), [
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), (b"GET / HTTP/1.1\r\nHo", -1),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab", 3), (b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nab", -1),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", -1),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", -1)])
def test_what_aiohttp_still_has_to_get(data: bytes, left: int) -> None:
    assert remaining(data) == left if left >= 0 else remaining(data) < 0


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory):
    """A server with the identity model, on a loop of its own thread."""
    import asyncio
    import threading
    root: Path = tmp_path_factory.mktemp("models")
    (root / "identity" / "1").mkdir(parents=True)
    identity(root / "identity" / "1" / "model.onnx", (16,), "float32")
    found: list[int] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        app = App(Config(server=ServerConfig(port=0, body_timeout_s=1.0, idle_timeout_s=2.0),
                         repository=RepositoryConfig(path=str(root), poll_s=0), queue=QueueConfig()))
        await app.start()
        while app.repository.starting:
            await asyncio.sleep(0.01)
        found.append(app.port)
        await stop.wait()
        await app.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    while not found:
        time.sleep(0.01)
    yield found[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)


def read_answer(sock: socket.socket, data: bytes = b"") -> tuple[int, bytes, bytes]:
    """(status, body, what came after it)."""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        assert more, f"closed after {data!r}"
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    size = int(next(line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")))
    while len(rest) < size:
        rest += sock.recv(65536)
    return int(head.split()[1]), rest[:size], rest[size:]


def connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def check(answer: tuple[int, bytes, bytes]) -> None:
    status, body, _ = answer
    assert status == 200, body
    assert body.endswith(VALUES.tobytes())


def test_both_ways_give_the_same_bytes(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(request())
        short = read_answer(sock)
        sock.sendall(request(extra="Accept-Encoding: br\r\n"))
        assert read_answer(sock) == short
        check(short)


def test_many_requests_on_one_connection_cheap_and_dear_ways_mixed(port: int) -> None:
    with connect(port) as sock:
        for i in range(100):
            sock.sendall(request())
            check(read_answer(sock))
            if i % 7 == 0:
                sock.sendall(b"GET /v2/models/identity HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert read_answer(sock)[0] == 200


@pytest.mark.parametrize("cut", [1, 10, 40, 120, len(request()) - 64, len(request()) - 1])
def test_a_request_in_two_pieces(port: int, cut: int) -> None:
    with connect(port) as sock:
        for _ in range(2):
            sock.sendall(request()[:cut])
            time.sleep(0.02)
            sock.sendall(request()[cut:])
            check(read_answer(sock))


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    with connect(port) as sock:
        get = b"GET /v2/models/identity HTTP/1.1\r\nHost: localhost\r\n\r\n"
        sock.sendall(request() * 3 + get + request())
        rest = b""
        for want in (64, 64, 64, 0, 64):
            status, body, rest = read_answer(sock, rest)
            assert status == 200
            assert body.endswith(VALUES.tobytes()) if want else json.loads(body)["name"] == "identity"


def test_a_body_that_never_ends_gets_a_408_and_its_connection_closed(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(request(length=len(BODY) + 10))
        status, body, _ = read_answer(sock)
        assert status == 408 and "had not arrived whole after 1 s" in json.loads(body)["error"]
        assert sock.recv(10) == b""


def test_a_silent_connection_is_closed(port: int) -> None:
    with connect(port) as sock:
        assert sock.recv(10) == b""


def test_a_body_over_the_limit_is_refused_before_it_comes(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(request(length=1 << 40)[:-len(BODY)])
        status, body, _ = read_answer(sock)
        assert status == 413 and "at most" in json.loads(body)["error"]


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n", b"POST /v2 HTTP/1.1\r\nA B: c\r\n\r\n",
                                  b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n\r\n"])
def test_malformed_http_gets_json(port: int, junk: bytes) -> None:
    with connect(port) as sock:
        sock.sendall(junk)
        status, body, _ = read_answer(sock)
        assert 400 <= status < 500 and "error" in json.loads(body)


def test_errors_on_the_short_way_keep_the_connection(port: int) -> None:
    with connect(port) as sock:
        for path, want in (("/v2/models/nobody/infer", 404), ("/v2/models/identity/versions/9/infer", 404)):
            sock.sendall(request(path=path))
            status, body, _ = read_answer(sock)
            assert status == want and "not found" in json.loads(body)["error"]
        sock.sendall(request(body=BODY[:-4]))
        assert read_answer(sock)[0] == 400
        sock.sendall(request())
        check(read_answer(sock))


def test_a_foreign_host_or_origin_is_refused(port: int) -> None:
    with connect(port) as sock:
        sock.sendall(request().replace(b"Host: localhost", b"Host: evil.example"))
        assert read_answer(sock)[0] == 403
        sock.sendall(request(extra="Origin: http://evil.example\r\n"))
        assert read_answer(sock)[0] == 403


def test_a_client_that_goes_away_leaves_the_server_well(port: int) -> None:
    for data in (request()[:50], request()[:-10], request()):
        with connect(port) as sock:
            sock.sendall(data)
    with connect(port) as sock:
        sock.sendall(request())
        check(read_answer(sock))
