"""A served model comes onto its engine: the fallback answers meanwhile, no request fails, and whatever goes wrong is said."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml
from aisle.runtime import app as app_module
from aisle.runtime.app import App
from aisle.runtime.config import Config, EnginesConfig, RepositoryConfig, ServerConfig
from aisle.runtime.engines import cycle as cycles
from aisle.runtime.engines.cache import EngineCache
from aisle.runtime.engines.cycle import Stage

DEVICE = DeviceProfile("test", backends=("fake", "onnx"), precisions=("fp32",), threads=1)
X = {"x": np.array([[1, 2, 3, 4]], np.float32)}


@pytest.fixture
async def start(tmp_path, orders, monkeypatch):
    """Starts servers in this process, one after another, over one model folder and one folder of engines."""
    apps = []
    monkeypatch.setattr(app_module, "choose_device", lambda config: (DEVICE, []))

    async def one(**engines):
        if apps:
            await apps[-1].stop()
        settings = {"path": str(tmp_path / "engines"), "max_mb": 64} | engines
        apps.append(App(Config(server=ServerConfig(port=0, drain_s=1), engines=EnginesConfig(**settings),
                               repository=RepositoryConfig(path=str(tmp_path / "models"), poll_s=0))))
        await apps[-1].start()
        while apps[-1].repository.starting:
            await asyncio.sleep(0.005)
        return apps[-1]
    yield one
    await apps[-1].stop()


async def until(app, *stages, name="m"):
    for _ in range(1000):
        served = app.repository.get(name)
        if served.cycle.stage in stages and (served.cycle.stage is not Stage.SERVING or served.backend == "fake"):
            return served
        await asyncio.sleep(0.01)
    raise AssertionError(f"never {stages}: {app.repository.get(name).engine_state(0)}")


async def answers(app, name="m"):
    return np.array_equal((await app.repository.get(name).infer(X))["y"], X["x"])


def fetch(app, path):
    """One GET beside the event loop that serves it."""
    def get():
        try:
            with urllib.request.urlopen(app.address + path, timeout=20) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            return error.read()
    return asyncio.get_running_loop().run_in_executor(None, get)


async def test_the_fallback_serves_then_the_engine_and_no_request_fails(start, bundle, orders):
    orders(do=["slowly"])
    app = await start()
    seen, wrong, stop, asked = set(), [], asyncio.Event(), 0

    async def client():
        nonlocal asked
        while not stop.is_set():
            served = app.repository.get("m")
            asked += 1
            await asyncio.sleep(0.002)           # as long as a body takes to arrive: the switch may come in between
            got = await served.infer(X)
            seen.add(app.repository.get("m").backend)
            if not np.array_equal(got["y"], X["x"]):
                wrong.append(got)
    clients = [asyncio.create_task(client()) for _ in range(8)]
    building = await until(app, Stage.BUILDING)
    assert building.backend == "onnx" and app.repository.blockers() == []
    while not building.cycle.part:
        await asyncio.sleep(0.01)
    health = json.loads(await fetch(app, "/healthz"))
    assert health["ready"] and health["engines"]["models"][0] | {"engine": ""} == {
        "name": "m", "version": "1", "backend": "fake", "precision": "fp32", "state": "building", "engine": "", "part": 0.5,
        "doing": "halfway", "reason": "there is none yet"}
    assert b'aisle_engine_build_part{model="m",version="1"} 0.5' in await fetch(app, "/metrics")
    served = await until(app, Stage.SERVING)
    await asyncio.sleep(0.2)
    stop.set()
    await asyncio.gather(*clients)               # a single failed request raises here
    assert not wrong and seen == {"onnx", "fake"}
    assert served.stats.success.count == served.stats.inference_count == asked, "the same model goes on counting"
    assert served.stats.pending == 0
    assert json.loads(await fetch(app, "/v2/models/m"))["parameters"]["engine"]["state"] == "serving"
    assert served.cycle.size > 0 and b'state="serving",version="1"} 1.0' in await fetch(app, "/metrics")


async def test_the_next_start_is_on_the_engine_at_once(start, bundle, orders):
    await until(await start(), Stage.SERVING)
    app = await start()
    assert app.repository.get("m").backend == "fake" and orders.builds() == ["well"]
    assert await answers(app)


async def test_another_version_of_the_library_rebuilds_by_itself_while_the_fallback_serves(start, bundle, orders):
    await until(await start(), Stage.SERVING)
    orders(version="2", do=["well", "slowly"])
    app = await start()
    served = app.repository.get("m")
    assert served.backend == "onnx" and await answers(app)
    await until(app, Stage.BUILDING)
    assert served.cycle.reason == "its version changed from 1 to 2"
    await until(app, Stage.SERVING)
    assert orders.builds() == ["well", "slowly"] and await answers(app)


@pytest.mark.parametrize(("do", "said"), [
    ("fail", "operator Odd"), ("killed", "was killed"), ("crash", "SIGSEGV"), ("disk-full", "cannot be written"),
    ("not-an-engine", "the engine cannot be loaded"),
])
async def test_a_build_that_fails_is_said_and_the_fallback_goes_on(start, bundle, orders, do, said):
    orders(do=[do])
    app = await start()
    served = await until(app, Stage.FAILED, Stage.GIVEN_UP)
    assert said in served.cycle.reason and served.backend == "onnx" and await answers(app)
    assert app.repository.blockers() == []
    (engine,) = json.loads(await fetch(app, "/healthz"))["engines"]["models"]
    assert said in engine["reason"] and engine["tries"] == 1


async def test_it_is_tried_again_after_a_while(start, bundle, orders, monkeypatch):
    monkeypatch.setattr(cycles, "FIRST_RETRY_S", 0.2)
    orders(do=["fail", "well"])
    app = await start()
    await until(app, Stage.FAILED)
    await until(app, Stage.SERVING)
    assert orders.builds() == ["fail", "well"]


async def test_an_engine_that_disagrees_is_never_put_into_service(start, bundle, orders):
    orders(do=["disagree"])
    app = await start()
    served = await until(app, Stage.GIVEN_UP)
    assert "does not agree with its model: output 'y' differs by" in served.cycle.reason
    assert served.backend == "onnx" and await answers(app)
    app = await start()
    await asyncio.sleep(0.7)
    assert app.repository.get("m").cycle.stage is Stage.GIVEN_UP and orders.builds() == ["disagree"]


async def test_a_truncated_engine_is_noticed_at_the_start_and_rebuilt(start, bundle, orders, tmp_path):
    await until(await start(), Stage.SERVING)
    (path,) = (tmp_path / "engines").glob("*.engine")
    path.write_bytes(path.read_bytes()[:-1])
    app = await start()
    assert app.repository.get("m").backend == "onnx"
    await until(app, Stage.SERVING)
    assert orders.builds() == ["well", "well"] and await answers(app)


async def test_a_mistake_of_ours_does_not_end_what_the_fallback_serves(start, bundle, orders, monkeypatch):
    from aisle.runtime import engine_keeper
    monkeypatch.setattr(engine_keeper, "truth_of", lambda *_: {}["planted"])
    app = await start()
    served = await until(app, Stage.FAILED)
    assert "KeyError: 'planted'; this is a mistake of Aisle's" in served.cycle.reason
    assert await answers(app) and not app.context.stopping.is_set()


async def test_a_folder_that_cannot_be_used_leaves_the_fallback_serving_with_a_sentence(start, bundle, orders, tmp_path):
    (tmp_path / "file").write_text("")
    app = await start(path=str(tmp_path / "file" / "engines"))
    served = app.repository.get("m")
    assert "the engines' folder cannot be used" in served.cycle.reason and await answers(app)


async def test_a_model_that_the_backend_cannot_take_says_why_and_is_served_without(start, bundle, orders):
    orders(refuses="input 'x' has a free dimension")
    app = await start()
    served = app.repository.get("m")
    assert served.refused == "fake cannot take this model: input 'x' has a free dimension; onnx serves it"
    assert await answers(app) and served.cycle is None


async def test_a_driver_that_is_gone_at_the_start_leaves_the_fallback_with_a_sentence(start, bundle, orders):
    orders(no_driver="starting CUDA failed with CUDA_ERROR_NO_DEVICE: the driver is there and finds no GPU")
    app = await start()
    assert "fake cannot take this model: starting CUDA failed with CUDA_ERROR_NO_DEVICE" in app.repository.get("m").refused
    assert await answers(app) and app.repository.blockers() == []


async def test_without_the_library_nothing_is_said_or_built(start, bundle, orders):
    orders(missing="it is not installed")
    app = await start()
    assert await answers(app) and app.repository.get("m").engine_state(0) == {}


async def at_work(app, orders):
    """The version whose engine is being built, and the process that does."""
    served = await until(app, Stage.BUILDING)
    while not served.cycle.pid or not orders.builds():
        await asyncio.sleep(0.01)
    return served, served.cycle.pid


async def test_a_new_model_file_stops_the_build_and_starts_its_own(start, bundle, orders, tmp_path, make_bundle):
    orders(do=["for-ever", "well"])
    app = await start()
    _, pid = await at_work(app, orders)
    make_bundle(tmp_path / "models")
    path = bundle.root / "m.onnx"
    path.write_bytes(path.read_bytes() + b"\x2a\x00")          # an empty domain: another file, the same network
    write_bundle_toml(replace(bundle, sha256={"m.onnx": digest(path)}), bundle.root)
    await app.repository.load("m")
    await until(app, Stage.SERVING)
    assert not Path(f"/proc/{pid}").exists() and orders.builds() == ["for-ever", "well"]


async def test_a_reload_of_the_same_file_ends_no_build(start, bundle, orders, tmp_path, make_bundle):
    orders(do=["slowly"])
    app = await start()
    before, pid = await at_work(app, orders)
    make_bundle(tmp_path / "models", params={"note": "changed"})
    await app.repository.load("m")
    after = app.repository.get("m")
    assert after is not before and after.cycle is before.cycle and after.cycle.pid in (0, pid)
    served = await until(app, Stage.SERVING)
    assert orders.builds() == ["slowly"] and served.bundle.params["note"] == "changed"


async def test_unloading_stops_the_build(start, bundle, orders):
    orders(do=["for-ever"])
    app = await start()
    _, pid = await at_work(app, orders)
    await app.repository.unload("m")
    for _ in range(300):
        if not Path(f"/proc/{pid}").exists():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the builder goes on for a model that is gone")


async def test_engines_are_built_one_after_another(start, bundle, orders, tmp_path, make_bundle):
    make_bundle(tmp_path / "models", "n", params={"other": 1})
    (tmp_path / "models/n/1/m.onnx").unlink()
    from aisle.models.make.onnx_models import identity
    folder = tmp_path / "models/n/1"
    identity(folder / "m.onnx", (5,), "float32", input_name="x", output_name="y")
    other = replace(make_bundle(tmp_path / "spare", "n"), root=folder, sha256={"m.onnx": digest(folder / "m.onnx")},
                    inputs=(TensorSpec("x", "float32", (5,)),), outputs=(TensorSpec("y", "float32", (5,)),))
    write_bundle_toml(other, folder)
    orders(do=["slowly"])
    app = await start()
    most = 0
    for _ in range(1000):
        stages = [app.repository.get(name).cycle.stage for name in "mn"]
        most = max(most, stages.count(Stage.BUILDING))
        if stages == [Stage.SERVING] * 2:
            break
        await asyncio.sleep(0.01)
    assert most == 1 and len(orders.builds()) == 2


async def test_an_engine_that_another_process_built_is_taken_without_building(start, bundle, orders, tmp_path):
    orders(do=["fail-lastingly", "well"])
    app = await start()
    await until(app, Stage.GIVEN_UP)
    other = tmp_path / "elsewhere"
    from aisle.runtime.engine_wish import wish_of
    from aisle.runtime.engines.cycle import Cycle, advance
    cache = EngineCache(other, 64 << 20)
    advance(Cycle(wish_of(bundle, DEVICE)), cache, lambda held: held)
    (built,) = other.glob("*.engine")
    shutil.copy(built, tmp_path / "engines" / built.name)
    await until(app, Stage.SERVING)
    assert orders.builds() == ["fail-lastingly", "well"]


async def test_a_good_engine_that_finds_no_memory_waits_for_some_and_is_not_built_again(start, bundle, orders, monkeypatch):
    await until(await start(), Stage.SERVING)
    orders(no_memory=True)
    app = await start()
    served = app.repository.get("m")
    assert served.cycle.stage is Stage.FAILED and served.cycle.reason == "the GPU's memory is full" and await answers(app)
    from fake_backend import FakeBackend
    before = FakeBackend.loads
    await asyncio.sleep(1.2)
    assert FakeBackend.loads == before, "it is tried again and again"
    orders()
    served.cycle.retry_at = 0
    await until(app, Stage.SERVING)
    assert orders.builds() == ["well"]


async def test_switched_off_the_server_builds_nothing(start, bundle, orders):
    app = await start(build=False)
    await asyncio.sleep(0.7)
    assert app.repository.get("m").cycle.stage is Stage.WAITING and orders.builds() == [] and await answers(app)


# ---- as processes

SERVER = """
import sys
from aisle.edge_devices.profile import DeviceProfile
from aisle.runtime import app
from aisle.runtime.backends import BACKENDS, TAKES
from aisle.runtime.config import Config, EnginesConfig, HealthConfig, RepositoryConfig, ServerConfig
from aisle.runtime.engines import BUILDERS
BACKENDS["fake"], BUILDERS["fake"] = "fake_backend:FakeBackend", "fake_engines:FakeBuilder"
TAKES["fake"] = ("fake", "onnx")
device = DeviceProfile("test", backends=("fake", "onnx"), precisions=("fp32",), threads=1)
app.choose_device = lambda config: (device, [])
models, engines = sys.argv[1:]
config = Config(server=ServerConfig(port=0, drain_s=1), engines=EnginesConfig(path=engines),
                repository=RepositoryConfig(path=models, poll_s=0), health=HealthConfig(canary_every_s=0))
sys.exit(app.run(config, lambda app: print(app.address, flush=True)))
"""


class Process:
    def __init__(self, models, engines):
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, models, engines], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE)
        self.address = self.process.stdout.readline().strip()

    def state(self):
        try:
            with urllib.request.urlopen(self.address + "/healthz", timeout=20) as answer:
                health = json.load(answer)
        except urllib.error.HTTPError as error:
            health = json.load(error)
        return health["engines"]["models"][0] if health["engines"]["models"] else {"state": "not yet"}

    def until(self, *states):
        for _ in range(600):
            if (now := self.state())["state"] in states:
                return now
            time.sleep(0.02)
        raise AssertionError(f"never {states}: {self.state()}")

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        said = self.process.communicate()[1]
        return self.process.returncode, said


@pytest.fixture
def serve(tmp_path, bundle):
    opened = []

    def one():
        opened.append(Process(str(tmp_path / "models"), str(tmp_path / "engines")))
        return opened[-1]
    yield one
    for process in opened:
        if process.process.poll() is None:
            process.end()


def test_a_server_killed_while_building_leaves_nothing_broken(serve, orders, tmp_path):
    orders(do=["for-ever", "well"])
    first = serve()
    first.until("building")
    while not orders.builds():
        time.sleep(0.02)
    first.end()
    second = serve()
    second.until("serving")
    assert orders.builds() == ["for-ever", "well"]
    assert {p.suffix for p in (tmp_path / "engines").iterdir()} == {".engine", ".lock", ".json"}


def test_an_engine_that_takes_the_server_down_is_given_up_after_some_starts(serve, orders, wish, tmp_path):
    orders(dies_checking=True)
    process = serve()
    process.process.communicate()
    assert process.process.returncode == -signal.SIGKILL
    cache = EngineCache(tmp_path / "engines", 1 << 30)
    assert cache.failure(wish.key).tries == 1
    cache.fail(wish.key, cycles.ENDED_CHECKING, tries=cycles.MAX_TRIES - 1)      # as further starts would
    assert serve().until("given-up")["reason"] == cycles.ENDED_CHECKING
    assert len(orders.builds()) == 1


def test_a_lost_device_ends_the_server_with_a_sentence_for_its_supervisor(serve, orders):
    orders(loses_device=True)
    process = serve()
    code = process.process.wait(30)
    assert code == 75 and "the driver is gone; the server ends, so that its supervisor starts it again" in \
        process.process.communicate()[1]


def test_two_servers_share_one_build(serve, orders):
    orders(do=["slowly"])
    one, other = serve(), serve()
    one.until("serving")
    other.until("serving")
    assert orders.builds() == ["slowly"]
    assert one.end(signal.SIGTERM)[0] == other.end(signal.SIGTERM)[0] == 0


