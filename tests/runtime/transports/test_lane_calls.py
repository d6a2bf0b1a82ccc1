"""What of a client's memory is looked at in place, and what is copied before anything looks at it twice."""

from __future__ import annotations

import fcntl
import mmap
import os
from types import SimpleNamespace

import numpy as np
import pytest
from aisle.models.bundle import TensorSpec
from aisle.runtime import lane_wire as wire
from aisle.runtime.errors import Invalid, TooLarge, Unsupported
from aisle.runtime.transports.lane.calls import Handle, Plan
from aisle.runtime.transports.lane.memory import Memory

SPECS = (TensorSpec("PIXELS", "uint8", (None, None, 3)), TensorSpec("NODES", "int32", (None,)),
         TensorSpec("FLAG", "bool", (2,)), TensorSpec("TEXT", "bytes", (1,)))
OUTPUTS = (TensorSpec("OUT", "float32", (4,)),)


def served(*, static: bool = False, job: bool = True, inputs=SPECS, outputs=OUTPUTS, max_batch: int = 0):
    return SimpleNamespace(name="m", version="1", inputs=inputs, outputs=outputs, static=static, max_batch=max_batch,
                           workload=object() if job else None)


@pytest.fixture
def shared():
    descriptor = os.memfd_create("calls", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 16384)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    ours = mmap.mmap(descriptor, 16384)
    memory = Memory(descriptor, 8192, 2)
    os.close(descriptor)
    return ours, memory


TENSORS = [wire.Tensor(0, wire.NUMBERS["UINT8"], 0, 0, 48, (4, 4, 3)), wire.Tensor(1, wire.NUMBERS["INT32"], 0, 64, 8, (2,)),
           wire.Tensor(2, wire.NUMBERS["BOOL"], 0, 128, 2, (2,)), wire.Tensor(3, wire.NUMBERS["BYTES"], 0, 192, 6, (1,))]


def plan(memory: Memory, what, tensors=TENSORS, room=(4096, 4096)) -> Plan:
    return Plan(wire.pack_call(1, 0, 1, tensors, room), Handle("m", None, what), memory)


def test_only_bytes_of_pictures_are_seen_in_place(shared):
    ours, memory = shared
    ours[8192 + 192:8192 + 198] = b"\x02\0\0\0hi"
    one = plan(memory, served())
    before = one.tensors()
    ours[8192:8192 + 192] = bytes([9]) * 192
    assert (before["PIXELS"] == 9).all() and not before["PIXELS"].flags.writeable
    assert before["NODES"].tolist() == [0, 0] and before["FLAG"].tolist() == [False, False]
    assert before["TEXT"].tolist() == [b"hi"]
    after = one.tensors()
    assert after["NODES"].tolist() == [0x09090909] * 2 and after["FLAG"].dtype == bool and after["FLAG"].all()


def test_models_with_free_shapes_get_copies_of_everything(shared):
    one = plan(shared[1], served(job=False))
    assert one.loose == ["PIXELS", "NODES", "FLAG"] and not one.steady


def test_rows_of_static_models_are_read_from_the_slot(shared):
    ours, memory = shared
    what = served(static=True, job=False, inputs=SPECS[1:2], max_batch=8)
    one = plan(memory, what, [wire.Tensor(0, wire.NUMBERS["INT32"], 0, 0, 16, (2, 2))])
    assert one.steady and one.tensors() is one.inputs
    told = wire.unpack_tensors(one.take({"OUT": np.full((2, 4), 5, np.float32)}), 0, 1)[0]
    assert (told.offset, told.size, told.dims) == (4096, 32, (2, 4))
    assert np.frombuffer(ours, np.float32, 8, 8192 + 4096).tolist() == [5] * 8


def test_results_of_any_shape_are_stored_where_there_is_room(shared):
    ours, memory = shared
    what = served(outputs=(TensorSpec("A", "float32", (None,)), TensorSpec("B", "bytes", (None,))))
    one = plan(memory, what)
    a, b = wire.unpack_tensors(one.store({"A": np.ones(3, np.float32), "B": np.array([b"x", b""], object)}), 0, 2)
    assert (a.offset, a.size, b.offset, b.size, b.dims) == (4096, 12, 4160, 9, (2,))
    assert ours[8192 + 4160:8192 + 4169] == b"\x01\0\0\0x\0\0\0\0"
    with pytest.raises(TooLarge, match="output 'A' of model 'm' alone has 8000"):
        one.store({"A": np.ones(2000, np.float32), "B": np.array([], object)})
    with pytest.raises(Unsupported, match="is a sequence or a map"):
        one.store({"A": [1, 2], "B": np.array([], object)})


def test_what_the_lane_cannot_carry_is_said_when_it_is_opened():
    with pytest.raises(Unsupported, match="at most 8: ask over HTTP"):
        Handle("m", None, served(inputs=(TensorSpec("X", "float32", (1,) * 9),)))
    many = tuple(TensorSpec(f"X{i}", "float32", (1,)) for i in range(65))
    with pytest.raises(Unsupported, match="has 65 outputs"):
        Handle("m", None, served(outputs=many))


def test_other_tensors_end_a_handle():
    handle = Handle("m", None, served())
    handle.follow(served())
    with pytest.raises(Invalid, match="open it again"):
        handle.follow(served(inputs=SPECS[:2]))
