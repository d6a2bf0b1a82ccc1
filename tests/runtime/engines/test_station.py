"""A station whose inspector has a network comes onto an engine too: the same verdicts, and no picture lost on the way."""

import asyncio

import numpy as np
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import Bundle
from aisle.models.inspect.network import Network
from aisle.models.inspect.recipe import Backbone
from aisle.models.inspect.teach import teach
from aisle.models.make import parts
from aisle.models.make.onnx_models import conv_net
from aisle.runtime.backends import make_backend
from aisle.runtime.config import EnginesConfig
from aisle.runtime.engines.cycle import Stage
from aisle.runtime.pool import Pool
from aisle.runtime.repository import Repository

DEVICE = DeviceProfile("test", backends=("fake", "onnx"), precisions=("fp32",), threads=1)


def taught(folder):
    """A station `flange` below `folder`, taught with a small network, and pictures it has not seen."""
    net = conv_net(folder / "net.onnx", 64)
    backend = make_backend("onnx")
    plain = Bundle("net", "1", "model", folder, files={("onnx", "fp32"): "net.onnx"})
    session = backend.open(backend.describe(plain), DeviceProfile("d", threads=1))

    def run(batch):
        session.row(0)["image"][...] = batch[0]
        session.run(1)
        return {"features": session.row(0)["features"][None].copy()}
    small = [np.ascontiguousarray(parts.good(i)[::4, ::4]) for i in range(10)]
    teach("flange", small[:8], out_dir=folder / "stations", version="1",
          backbone=Network(net, Backbone("image", ("features",), 64, 64), run))
    return folder / "stations", small[8:]


async def test_verdicts_are_the_same_before_during_and_after_the_switch(orders, tmp_path):
    orders(do=["slowly"])
    stations, pictures = await asyncio.to_thread(taught, tmp_path)
    repository = Repository(stations, DEVICE, Pool(2), engines=EnginesConfig(path=str(tmp_path / "engines")))
    keeping = asyncio.create_task(repository.engines.run(repository))
    scores, backends, stop = [], set(), asyncio.Event()

    async def camera(picture):
        while not stop.is_set():
            served = repository.get("flange")
            await asyncio.sleep(0.002)
            scores.append(float((await served.infer({"PIXELS": picture}))["SCORE"][0]))
            backends.add(repository.get("flange").backend)
    try:
        await repository.start()
        served = repository.get("flange")
        assert served.job == "inspect" and served.backend == "onnx"
        cameras = [asyncio.create_task(camera(pictures[0])) for _ in range(3)]
        while (served := repository.get("flange")).backend == "onnx":
            assert served.cycle.stage not in (Stage.FAILED, Stage.GIVEN_UP), served.cycle.reason
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        stop.set()
        await asyncio.gather(*cameras)             # a picture that was not answered raises here
        assert backends == {"onnx", "fake"} and served.cycle.stage is Stage.SERVING
        assert len(scores) > 5 and max(scores) - min(scores) < 1e-4
    finally:
        stop.set()
        keeping.cancel()
        await repository.close()
        repository.pool.close()
