"""A model whose thread hangs makes the server unready, fails its requests with a sentence, and is replaced."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from aisle.models.bundle import Bundle, TensorSpec
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime.app import App
from aisle.runtime.config import Config, HealthConfig, RepositoryConfig, ServerConfig
from aisle.runtime.errors import Failed
from aisle.runtime.pulse import Pulse, Systemd

X = {"x": np.ones((1, 2), np.float32)}


def null_version(root: Path, version: str, **params: int) -> None:
    folder = root / "m" / version
    folder.mkdir(parents=True)
    (folder / "m.null").write_bytes(b"")
    write_bundle_toml(Bundle("m", version, "model", folder, (TensorSpec("x", "float32", (2,)),),
                             (TensorSpec("y", "float32", (2,)),), {("null", "fp32"): "m.null"}, 2, params), folder)


@pytest.fixture
async def app(tmp_path: Path):
    """Version 1 is sound; version 2 hangs (4 s) in its third run: warming up, one answer, then no more."""
    null_version(tmp_path, "1")
    null_version(tmp_path, "2", sleep_ms=4000, sleep_every=3)
    made = App(Config(server=ServerConfig(port=0, drain_s=1.0), repository=RepositoryConfig(path=str(tmp_path), poll_s=0),
                      health=HealthConfig(canary_every_s=1000, canary_deadline_s=0.3)))
    await made.start()
    while made.repository.starting:
        await asyncio.sleep(0.01)
    yield made
    await made.stop()


async def hang(app: App) -> str:
    """Ask until it hangs; return what the caller of the hanging request was told."""
    served = app.repository.get("m")
    await served.infer(X)
    with pytest.raises(Failed) as caught:
        await served.infer(X)
    return caught.value.sentence


async def test_a_hang_is_said_opened_again_and_then_replaced_by_the_version_before(app: App, monkeypatch) -> None:
    repository = app.repository
    gate, replace = asyncio.Event(), repository.replace

    async def later(served: object) -> str:       # the time between noticing and replacing, made long enough to look
        await gate.wait()
        return await replace(served)
    monkeypatch.setattr(repository, "replace", later)
    assert repository.get("m").version == "2"
    task = asyncio.create_task(hang(app))
    until = time.monotonic() + 3
    while not repository.hung and time.monotonic() < until:
        await asyncio.sleep(0.01)
    assert any("has not answered for" in sentence for sentence in repository.blockers())
    gate.set()
    assert "the request was given up" in await task
    while repository.hung:
        await asyncio.sleep(0.01)
    assert repository.blockers() == [] and repository.get("m").version == "2"

    await hang(app)
    while repository.hung:
        await asyncio.sleep(0.01)
    served = repository.get("m")
    assert served.version == "1" and repository.blockers() == []
    assert any("version 1 serves instead" in item.get("reason", "") for item in repository.index())
    np.testing.assert_array_equal((await served.infer(X))["y"], X["x"])


async def test_what_waits_behind_a_hang_is_told_too(app: App) -> None:
    served = app.repository.get("m")
    await served.infer(X)
    answers = await asyncio.gather(*(served.infer(X) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(a, Failed) and "has not answered" in a.sentence for a in answers)


async def test_an_idle_model_is_asked_and_its_canary_is_not_counted(app: App) -> None:
    batcher = app.repository.get("m").owned[0]
    before = batcher.stats.execution_count
    pulse = Pulse(app.repository, every_s=0.01, deadline_s=10)
    await asyncio.sleep(0.05)
    last = batcher.last_run
    pulse.look(time.perf_counter_ns())
    await asyncio.sleep(0.05)
    assert batcher.last_run > last
    assert batcher.stats.execution_count == before == 0


async def test_a_slow_model_is_not_taken_for_a_hung_one(app: App) -> None:
    batcher = app.repository.get("m").owned[0]
    for _ in range(8):
        batcher.costs.add(2, 10**9)
    pulse = Pulse(app.repository, every_s=10, deadline_s=0.3)
    assert pulse.patience_ns(batcher) == 20 * 10**9


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_hears_ready_once_and_the_watchdog_while_all_is_well(tmp_path: Path, kind: str) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"\0aisle-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(name)
        ear.settimeout(1)
        systemd = Systemd({"NOTIFY_SOCKET": name.replace("\0", "@")})
        systemd.tell(ready=False, alive=True)
        assert ear.recv(100) == b"WATCHDOG=1"
        systemd.tell(ready=True, alive=True)
        assert ear.recv(100) == b"WATCHDOG=1\nREADY=1"
        systemd.tell(ready=True, alive=False)
        systemd.tell(ready=True, alive=True)
        assert ear.recv(100) == b"WATCHDOG=1"


def test_without_systemd_nothing_is_told() -> None:
    Systemd({}).tell(ready=True, alive=True)
    Systemd({"NOTIFY_SOCKET": "/nowhere/notify"}).tell(ready=True, alive=True)    # a warning, no more
