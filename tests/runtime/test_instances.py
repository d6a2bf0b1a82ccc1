"""Several instances of a model: they run side by side, share one queue and divide the threads."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import numpy as np
from aisle.edge_devices.profile import DeviceProfile
from aisle.models.bundle import QueuePolicy, TensorSpec
from aisle.models.make.onnx_models import identity
from aisle.runtime.batcher import Batcher
from aisle.runtime.discover import discover, read
from aisle.runtime.loading import open_bundle
from aisle.runtime.stats import Stats


class Meeting:
    """A session whose run waits until as many sessions run at once."""

    inputs = (TensorSpec("x", "float32", (1,)),)
    outputs = (TensorSpec("y", "float32", (1,)),)
    capacity = 1
    closed = 0

    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier = barrier
        self.block = np.zeros((1, 1), np.float32)

    def row(self, i: int) -> dict[str, np.ndarray]:
        return {"x": self.block[0], "y": self.block[0]}

    def rows(self, i: int, n: int) -> dict[str, np.ndarray]:
        return {"x": self.block, "y": self.block}

    def run(self, n: int) -> None:
        self.barrier.wait(5)

    def close(self) -> None:
        Meeting.closed += 1


async def test_instances_run_side_by_side_from_one_queue() -> None:
    barrier = threading.Barrier(3)
    batcher = Batcher([Meeting(barrier) for _ in range(3)], "m", Stats())

    def fill(value: float):
        def write(row: dict[str, np.ndarray]) -> None:
            row["x"][...] = value
        return write
    answers = await asyncio.gather(*(batcher.call(fill(i), lambda row: float(row["y"][0])) for i in range(9)))
    assert answers == [float(i) for i in range(9)]
    await batcher.drain()
    assert Meeting.closed == 3 and barrier.n_waiting == 0


async def test_a_lingering_instance_takes_company_and_loses_nobody() -> None:
    barrier = threading.Barrier(1)
    batcher = Batcher([Meeting(barrier) for _ in range(2)], "m", Stats(), policy=QueuePolicy(wait_us=500))
    for _ in range(50):
        answers = await asyncio.gather(*(batcher.call(lambda row: None, lambda row: 1) for _ in range(7)))
        assert answers == [1] * 7
    await batcher.drain()


def test_triton_instance_groups_open_that_many_sessions_that_divide_the_threads(tmp_path: Path) -> None:
    folder = tmp_path / "m" / "1"
    folder.mkdir(parents=True)
    identity(folder / "model.onnx")
    (tmp_path / "m" / "config.pbtxt").write_text("max_batch_size: 4\ninstance_group [ { count: 2 }, { count: 1 } ]\n")
    bundle = read(discover(tmp_path)["m"], "1")
    opened = open_bundle(bundle, DeviceProfile("cpu", threads=7))
    assert [session.threads for session in opened.sessions] == [2, 2, 2]
    opened.close()
