"""Nothing leaves: no connection goes out, no id stands in a log, a metric or a file; visitors can be exported and erased."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aisle.bench.recommend.made import shop
from aisle.runtime.codec import Payload
from aisle.runtime.codec.recommend_shop import VISITOR
from aisle.runtime.errors import Invalid

SECRETS = ("ann@example.org", "item-17", "item-23")
# Every way out of the process is noted, by Python's own audit events.
HOOK = """
import os, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["AISLE_TEST_NOTES"], "a") as file:
            file.write(f"{event} {arguments[1:]!r}\\n")
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn"):
        with open(os.environ["AISLE_TEST_NOTES"], "a") as file:
            file.write(f"{event} {arguments[0]!r}\\n")
sys.addaudithook(note)
note("subprocess.Popen", ("on",))
"""
# In a network namespace of its own the server has no way to anywhere but itself.
ALONE = """
import fcntl, http.client, json, socket, struct, subprocess, sys
with socket.socket() as one:      # SIOCSIFFLAGS: loopback up
    fcntl.ioctl(one, 0x8914, struct.pack("16sH14x", b"lo", 0x49))
server = subprocess.Popen([sys.executable, "-m", "aisle.runtime", "serve", "--models", sys.argv[1], "--port", "0"],
                          stdout=subprocess.PIPE, text=True)
address = next(w for w in server.stdout.readline().split() if w.startswith("http://")).removeprefix("http://")
def ask(method, path, body=None):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request(method, path, json.dumps(body) if body is not None else None)
    reply = connection.getresponse()
    return reply.status, reply.read()
while ask("GET", "/v2/health/ready")[0] != 200:
    pass
try:
    socket.create_connection(("192.0.2.1", 80), timeout=2)
    sys.exit("there is a way out of the namespace")
except OSError:
    pass
status, body = ask("POST", "/v1/recommend", {"visitor": "ann@example.org", "events": ["item-17", "item-23"]})
server.terminate()
server.wait(30)
print(status, len(json.loads(body)["items"]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("private")
    shop(made, 60)
    return made / "models"


def with_history(folder: Path, target: Path, history: str) -> Path:
    """A copy of the shop that keeps visits there."""
    shutil.copytree(folder, target)
    path = target / "corner" / "bundle.toml"
    path.write_text(path.read_text() + f'\n[params.privacy]\nhistory = "{history}"\n')
    return target


def everything(state: Path, *, but: str = ".key") -> bytes:
    """All files below a folder, with their names."""
    files = (path for path in state.rglob("*") if path.is_file() and path.suffix != but)
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


@pytest.mark.parametrize("history", ["memory", "disk"])
def test_nothing_leaves_and_no_id_is_written_down(launch: Callable[..., Any], folder: Path, tmp_path: Path, history: str,
                                                  capfd: pytest.CaptureFixture[str]) -> None:
    if history == "disk":
        pytest.importorskip("cryptography", reason="the extra `privacy` is not installed")
    models, notes = with_history(folder, tmp_path / "models", history), tmp_path / "notes"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    (tmp_path / "aisle.toml").write_text('[log]\nlevel = "debug"\n')
    paths = os.pathsep.join(filter(None, [str(tmp_path / "hook"), os.environ.get("PYTHONPATH", "")]))
    server = launch(models, "--config", str(tmp_path / "aisle.toml"), AISLE_TEST_NOTES=str(notes), PYTHONPATH=paths)
    visit = {"visitor": SECRETS[0], "events": [SECRETS[1], {"item": SECRETS[2], "kind": "buy"}]}
    for _ in range(3):
        assert server.ask("POST", "/v1/recommend", visit).status == 200
    assert server.ask("POST", "/v1/recommend", visit | {"count": 0}).status == 400
    assert server.ask("POST", "/v1/recommend", visit, {"Aisle-Deadline-Ms": "0.001"}).status in (503, 504)
    told = server.ask("GET", "/metrics").body + server.ask("GET", "/healthz").body
    told += server.ask("GET", "/v1/recommend/corner").body + server.ask("GET", "/v1/recommend/corner/recent").body
    export = server.ask("POST", "/v1/visitor", {"do": "export", "visitor": SECRETS[0]}).json
    assert export["count"] == len(export["events"]) == 6 and export["where"] == history
    assert [(e["item"], e["kind"]) for e in export["events"][:2]] == [("item-17", "view"), ("item-23", "buy")]
    server.process.terminate()
    assert server.process.wait(30) == 0
    logged = capfd.readouterr().err
    assert "DEBUG" in logged or "INFO" in logged
    for secret in SECRETS:
        assert secret not in logged and secret.encode() not in told and secret.encode() not in everything(models / ".aisle")
    ways = notes.read_text().splitlines()
    assert "subprocess.Popen 'on'" in ways
    assert [way for way in ways if not way.startswith(("subprocess.Popen", "os."))] == [], "the server connected to somebody"


def test_in_a_network_without_ways_out_it_answers_as_well(folder: Path, tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let us make a network namespace")
    models = shutil.copytree(folder, tmp_path / "models")
    done = subprocess.run([unshare, "-rn", sys.executable, "-c", ALONE, str(models)], capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0 and done.stdout.split() == ["200", "10"], done.stdout + done.stderr


def test_a_phone_that_sends_its_own_history_is_not_remembered(launch: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    models = with_history(folder, tmp_path / "models", "memory")
    server = launch(models)
    server.ask("POST", "/v1/recommend", {"events": ["item-17", "item-23"]})
    about = server.ask("GET", "/v1/recommend/corner").json
    assert about["privacy"]["kept"] == 0


@pytest.mark.parametrize("history", ["memory", "disk"])
def test_a_visitor_is_remembered_until_erased(launch: Callable[..., Any], folder: Path, tmp_path: Path, history: str) -> None:
    if history == "disk":
        pytest.importorskip("cryptography", reason="the extra `privacy` is not installed")
    models = with_history(folder, tmp_path / "models", history)
    server = launch(models)

    def shown() -> list[str]:
        return [one["id"] for one in server.ask("POST", "/v1/recommend", {"visitor": "ann"}).json["items"]]
    before = shown()
    server.ask("POST", "/v1/recommend", {"visitor": "ann", "events": ["item-17", "item-23"]})
    after = shown()
    sent = server.ask("POST", "/v1/recommend", {"events": ["item-17", "item-23"]}).json["items"]
    assert after == [one["id"] for one in sent] != before
    other = server.ask("POST", "/v1/recommend", {"visitor": "bob"}).json
    assert other["events"]["used"] == 0, "one visitor's past is not another's"
    if history == "disk":
        server.process.kill()
        server.process.wait(20)
        server = launch(models)
        assert shown() == after
    words = ["shop", "visitor", "erase", "--server", f"http://{server.address}"]
    done = subprocess.run([sys.executable, "-m", "aisle.runtime", *words], input="ann\n", text=True, capture_output=True,
                          check=False)
    assert done.returncode == 0 and done.stdout == f"2 events were erased ({history})\n", done.stderr
    assert server.ask("POST", "/v1/visitor", {"do": "export", "visitor": "ann"}).json["events"] == []
    assert server.ask("POST", "/v1/recommend", {"visitor": "ann"}).json["events"]["used"] == 0


@pytest.mark.parametrize(("body", "said"), [
    ({"do": "forget", "visitor": "a"}, "do: expected one of export, erase"), ({"do": "erase"}, "visitor is missing"),
    ({"do": "erase", "visitor": "x" * 129}, "visitor: expected a text of 1 to 128"),
])
def test_what_cannot_be_asked_of_a_visitor_is_a_sentence(body: Any, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        VISITOR.request(Payload(json.dumps(body).encode()), None)    # type: ignore[arg-type]
