"""The TensorRT backend over a checked stand-in for library and device: copies, profiles, streams, errors, refusals."""

import asyncio
import ctypes
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from aisle.edge_devices.profile import DeviceProfile
from aisle.kernels._cuda import CudaError
from aisle.models.bundle import Bundle, BundleError, TensorSpec, digest
from aisle.models.bundle_file import write_bundle_toml
from aisle.models.make.onnx_models import add_sub, conv_net, identity
from aisle.models.make.onnx_proto import node, value, write
from aisle.runtime.backends import BACKENDS
from aisle.runtime.backends import tensorrt_library as library
from aisle.runtime.backends.tensorrt import TensorrtBackend
from aisle.runtime.backends.tensorrt_build import Phases
from aisle.runtime.backends.tensorrt_session import stretches
from aisle.runtime.config import EnginesConfig
from aisle.runtime.engine_keeper import EngineKeeper
from aisle.runtime.engines import BUILDERS, BuildError, Job
from aisle.runtime.engines.cache import EngineCache
from aisle.runtime.engines.key import EngineKey
from aisle.runtime.engines.store import write_engine
from aisle.runtime.engines.wish import make_wish, profiles
from aisle.runtime.errors import Failed
from aisle.runtime.pool import Pool
from aisle.runtime.repository import Repository
from hypothesis import given
from hypothesis import strategies as st

HERE = Path(__file__).parent
DEVICE = DeviceProfile("test", threads=1)


@pytest.fixture
def fakes(monkeypatch, cache):
    """The modules `fake_tensorrt` and `over_fakes`."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    import fake_tensorrt
    import over_fakes
    yield over_fakes
    fake_tensorrt.MEMORY.clear()


@pytest.fixture
def memory(fakes):
    return fakes.fake_tensorrt.DeviceMemory()


def sums(folder, max_batch=4):
    """INPUT0, INPUT1 -> their sum and difference, float32 rows of 3."""
    add_sub(folder / "m.onnx", 3, "float32", batch=max_batch > 0)
    inputs, outputs = (tuple(TensorSpec(f"{kind}{i}", "float32", (3,)) for i in (0, 1)) for kind in ("INPUT", "OUTPUT"))
    return Bundle("m", "1", "model", folder, inputs, outputs, {("tensorrt", "fp32"): "m.onnx"}, max_batch)


@pytest.fixture
def session(fakes, memory, tmp_path):
    opened = fakes.FakedBackend(memory).open(sums(tmp_path), DEVICE)
    yield opened
    opened.close()


def fill(session, n, seed=0):
    values = np.random.default_rng(seed).random((2, n, 3)).astype(np.float32)
    for i, name in enumerate(("INPUT0", "INPUT1")):
        session.rows(0, n)[name][...] = values[i]
    return values[0] + values[1]


def test_each_run_copies_the_rows_it_has_in_one_piece_and_brings_back_no_more(session, memory):
    for n in (3, 1, 4, 3):
        memory.copied.clear()
        wanted = fill(session, n, n)
        session.run(n)
        assert np.array_equal(session.rows(0, n)["OUTPUT0"], wanted)
        assert memory.copied == [("up", 12 * n)] * 2 + [("down", 12 * n)] * 2


def test_a_single_row_has_a_context_and_a_profile_of_its_own(session):
    one, many = session._contexts
    assert (one._profile, many._profile) == (0, 1)
    fill(session, 4)
    session.run(1)
    assert one._shapes["INPUT0"] == (1, 3) and many._shapes == {}
    session.run(4)
    assert many._shapes["INPUT0"] == (4, 3)


def test_shapes_are_set_only_when_the_number_of_rows_changes(session, monkeypatch):
    fill(session, 4)
    session.run(3)
    monkeypatch.setattr(type(session._contexts[1]), "set_input_shape", lambda *_: pytest.fail("set again"))
    session.run(3)


def put(array, values):
    """Write to the device's memory, as a kernel would."""
    ctypes.memmove(array.address, np.ascontiguousarray(values, array.dtype).ctypes.data, array.nbytes)


def test_a_row_that_was_filled_on_the_device_is_not_copied_there(session, memory):
    wanted = fill(session, 4)
    there = session.row(2).device("INPUT0")
    assert there.shape == (3,) and there.__cuda_array_interface__["data"][0] == session._places["INPUT0"][0] + 24
    put(there, [7, 8, 9])
    memory.copied.clear()
    session.run(4)
    assert [size for direction, size in memory.copied if direction == "up"] == [24, 12, 48]
    second = session.row(2)["INPUT1"]
    assert np.array_equal(session.row(2)["OUTPUT0"], second + np.float32([7, 8, 9]))
    assert np.array_equal(session.row(3)["OUTPUT0"], wanted[3])
    session.run(4)        # it counts for one run
    assert np.array_equal(session.rows(0, 4)["OUTPUT0"], wanted)


def test_all_rows_and_outputs_can_stay_on_the_device(session, memory):
    rows = session.rows(0, 2)
    for name in ("INPUT0", "INPUT1"):
        put(rows.device(name), np.full((2, 3), 2))
    memory.copied.clear()
    session.run(2)
    assert [d for d, _ in memory.copied] == ["down"] * 2
    out = rows.device("OUTPUT0")
    assert out.shape == (2, 3) and ctypes.c_float.from_address(out.address).value == 4


def test_a_failed_run_forgets_what_was_on_the_device(session):
    put(session.row(0).device("INPUT0"), [1, 1, 1])
    session._contexts[0]._wrong = "Cuda failure: something"
    with pytest.raises(Failed):
        session.run(1)
    session._contexts[0]._wrong = ""
    wanted = fill(session, 1)
    session.run(1)
    assert np.array_equal(session.rows(0, 1)["OUTPUT0"], wanted)


def test_where_the_memory_is_shared_nothing_is_copied(fakes, tmp_path):
    backend = fakes.FakedBackend()
    session = backend.open(sums(tmp_path), replace(DEVICE, unified_memory=True))
    wanted = fill(session, 4)
    session.run(4)
    assert np.array_equal(session.rows(0, 4)["OUTPUT0"], wanted)
    assert backend.memory.copied == [] and backend.memory.used == 0
    assert session.row(1).device("INPUT0").address == session.row(1)["INPUT0"].ctypes.data


def test_without_a_batch_axis(fakes, tmp_path):
    session = fakes.FakedBackend().open(sums(tmp_path, 0), DEVICE)
    session.row(0)["INPUT0"][...] = 1
    put(session.row(0).device("INPUT1"), [5, 5, 5])
    session.run(1)
    assert (session.row(0)["OUTPUT0"] == 6).all() and len(session._contexts) == 1


def test_close_gives_back_memory_and_engine(fakes, memory, tmp_path):
    session = fakes.FakedBackend(memory).open(sums(tmp_path), DEVICE)
    assert memory.used > 0
    held = session._held
    session.close()
    assert memory.used == 0 and memory.heap == {}
    with pytest.raises(AssertionError, match="released"), held.bytes():
        pass


def test_instances_share_the_weights_and_have_rows_of_their_own(fakes, memory, tmp_path, monkeypatch):
    bundle = sums(tmp_path)
    engine = fakes.FakedBuilder().build(Job(tmp_path / "m.onnx", "fp32", profiles(bundle)), lambda *_: None)
    held, backend, read = held_of(fakes, tmp_path, engine), fakes.FakedBackend(memory), []
    runtime = fakes.fake_tensorrt.Runtime
    reading = runtime.deserialize_cuda_engine
    monkeypatch.setattr(runtime, "deserialize_cuda_engine", lambda self, data: read.append(1) or reading(self, data))
    one, other = (backend.load(bundle, DEVICE, held) for _ in range(2))
    assert read == [1] and one._engine is other._engine
    wanted = fill(one, 2, 1), fill(other, 2, 2)
    one.run(2)
    one.close()
    other.run(2)
    assert np.array_equal(other.rows(0, 2)["OUTPUT0"], wanted[1])
    other.close()
    held.release()
    assert memory.used == 0


# ---- what goes wrong

def test_a_run_that_the_library_refuses_says_what_it_said(session):
    session._contexts[1]._wrong = "IExecutionContext::enqueueV3: Error Code 1:\n Cask (Cask convolution execution)"
    with pytest.raises(Failed, match=r"model 'm' failed on 2 rows: IExecutionContext::enqueueV3: Error Code 1: Cask"):
        session.run(2)
    assert session.lost == ""


def test_a_sticky_error_is_for_good_and_said_so(session, memory):
    memory.breaks = CudaError("running 'm' failed with CUDA_ERROR_ILLEGAL_ADDRESS: this process must be started again", True)
    with pytest.raises(Failed, match="model 'm' failed on 1 row: running 'm' failed with CUDA_ERROR_ILLEGAL_ADDRESS"):
        session.run(1)
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in session.lost
    memory.breaks = None


def test_a_refused_run_on_a_lost_device_tells_of_the_device(session, memory):
    session._contexts[0]._wrong = "Cuda failure: an illegal memory access was encountered"
    memory.breaks = CudaError("the context is lost", True)
    with pytest.raises(Failed, match="the context is lost"):
        session.run(1)
    assert session.lost
    memory.breaks = None


@pytest.mark.parametrize(("room", "said"), [(60, "the GPU's memory is full: the engine of 'm' needs more"),
                                            (150, "CUDA_ERROR_OUT_OF_MEMORY: the device's memory is full")])
def test_out_of_memory_is_a_sentence_and_not_the_engines_fault(fakes, tmp_path, room, said):
    memory = fakes.fake_tensorrt.DeviceMemory(size=room)
    backend = fakes.FakedBackend(memory)
    with pytest.raises(BundleError, match=said) as caught:
        backend.open(sums(tmp_path), DEVICE)
    assert isinstance(caught.value.__cause__, BuildError) and caught.value.__cause__.innocent
    assert memory.used == 0


def held_of(fakes, folder, engine):
    key = EngineKey("m", "a" * 64, "", "fp32", fakes.FakedBuilder().platform())
    cache = EngineCache(folder / "other", 1 << 30)
    write_engine(cache.candidate(key), key.table(), engine)
    return cache.get(key, candidate=True)


def test_bytes_that_the_library_cannot_read_are_no_engine(fakes, tmp_path):
    with pytest.raises(BuildError, match=r"cannot read the engine of 'm': .*magic tag does not match"):
        fakes.FakedBackend().load(sums(tmp_path), DEVICE, held_of(fakes, tmp_path, b"nonsense"))


@pytest.mark.parametrize(("change", "said"), [
    (lambda b: replace(b, inputs=b.inputs[:1]), r"has the tensors .* its model has"),
    (lambda b: replace(b, inputs=(replace(b.inputs[0], dtype="int8"), b.inputs[1])), "expected int8"),
    (lambda b: replace(b, outputs=(replace(b.outputs[0], shape=(4,)), b.outputs[1])), r"expected float32 \[-1, 4\]"),
    (lambda b: replace(b, inputs=(b.outputs[0], b.inputs[1]), outputs=(b.inputs[0], b.outputs[1])), "as input"),
])
def test_an_engine_of_another_model_is_found_out(fakes, tmp_path, change, said):
    bundle = sums(tmp_path)
    engine = fakes.FakedBuilder().build(Job(tmp_path / "m.onnx", "fp32", ({"INPUT0": ((1, 3),) * 3, "INPUT1": ((1, 3),) * 3},)),
                                        lambda *_: None)
    with pytest.raises(BundleError, match=said):
        fakes.FakedBackend().load(change(bundle), DEVICE, held_of(fakes, tmp_path, engine))


def test_an_engine_that_gives_other_rows_is_found_out_in_its_first_run(session, monkeypatch):
    monkeypatch.setattr(type(session._contexts[1]), "get_tensor_shape", lambda self, name: (9, 3))
    with pytest.raises(Failed, match=r"expected shape \[2, 3\], the engine gives \[9, 3\]"):
        session.run(2)


# ---- building

def test_a_node_that_the_parser_does_not_take_is_named(fakes, tmp_path):
    x, y = (value(name, "float32", ["n", 3]) for name in "xy")
    write(tmp_path / "m.onnx", "odd", [node("Odd", ["x"], ["y"])], [x], [y])
    with pytest.raises(BuildError, match=r"does not take node 'n7' .operator Odd.: .*Odd") as caught:
        fakes.FakedBuilder().build(Job(tmp_path / "m.onnx", "fp32"), lambda *_: None)
    assert caught.value.lasting and "\n" not in str(caught.value)


def test_a_network_that_is_not_built_says_why(fakes, tmp_path):
    identity(tmp_path / "m.onnx", (3,))
    with pytest.raises(BuildError, match="built no engine: Network has dynamic or shape inputs, but no optimization profile"):
        fakes.FakedBuilder().build(Job(tmp_path / "m.onnx", "fp32"), lambda *_: None)


def test_progress_goes_from_nothing_to_all_through_phases_within_phases(fakes, tmp_path):
    conv_net(tmp_path / "m.onnx", 16)
    told = []
    shapes = ({"image": ((1, 3, 16, 16), (2, 3, 16, 16), (2, 3, 16, 16))},)
    fakes.FakedBuilder().build(Job(tmp_path / "m.onnx", "fp32", shapes), lambda part, doing: told.append((part, doing)))
    assert told == [(0.0, "Building engine"), (0.5, "Building engine"), (0.5, "Timing"), (0.625, "Timing"), (0.75, "Timing"),
                    (0.875, "Timing"), (1.0, "Timing")]


@given(st.lists(st.tuples(st.sampled_from(["begin", "step", "end"]), st.sampled_from("abc"), st.sampled_from(["a", "b", None]),
                          st.integers(-1, 5)), max_size=30))
def test_progress_is_a_part_whatever_the_library_reports(events):
    told = []
    phases = Phases(lambda part, doing: told.append(part))
    for what, name, parent, number in events:
        if what == "begin":
            phases.begin(name, parent, number)
        elif what == "step":
            phases.step(name, number)
        else:
            phases.end(name)
    assert all(0 <= part <= 1 for part in told)


@given(st.integers(1, 12), st.sets(st.integers(0, 14)))
def test_stretches_are_the_rest_in_order(n, without):
    found = [i for first, end in stretches(n, without) for i in range(first, end)]
    assert found == [i for i in range(n) if i not in without]
    assert all(a < b for a, b in stretches(n, without))


@pytest.mark.parametrize(("spec", "said"), [
    (TensorSpec("t", "float64", (3,)), "tensor 't' is float64, and TensorRT has only float32"),
    (TensorSpec("t", "bytes", (3,)), "tensor 't' is bytes"),
    (TensorSpec("t", "float32", (None, 3)), r"a free dimension beside the batch .\[-1, 3\]."),
    (TensorSpec("t", "float32", (3,), optional=True), "is optional"),
])
def test_models_that_cannot_have_an_engine_are_told_apart(spec, said):
    assert re.search(said, library.refuses(Bundle("m", "1", "model", Path(), (spec,), (spec,))))
    fine = TensorSpec("t", "float32", (3,))
    assert library.refuses(Bundle("m", "1", "model", Path(), (fine,), (fine,))) is None


def test_messages_lose_the_places_in_the_library_s_source_and_keep_the_rest():
    told = library.Told()
    assert told.last("nothing") == "nothing"
    told.messages.append("[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (In catchCudaError at "
                         "/_src/common/dispatch/checkMacros.cpp:250\n(cudaError 35: CUDA driver version is insufficient))")
    assert told.last("") == "Error Code 1: Cuda Runtime ((cudaError 35: CUDA driver version is insufficient))"


@pytest.mark.parametrize(("there", "driver", "model", "said"), [
    ((), "", "", "TensorRT is not installed"), (("tensorrt",), "", "", "pycuda is not"),
    (("tensorrt", "pycuda"), "", "AMD EPYC", "no NVIDIA driver is loaded"), (("tensorrt", "pycuda"), "NVRM 580", "", None),
    (("tensorrt", "pycuda"), "", "NVIDIA Jetson Orin Nano", None),
])
def test_what_is_missing_is_one_sentence(monkeypatch, there, driver, model, said):
    monkeypatch.setattr(library, "find_spec", lambda name: name in there or None)
    monkeypatch.setattr(library, "probe", lambda: SimpleNamespace(nvidia_driver=driver, model=model))
    found = library.missing()
    assert (found is None) if said is None else (said in found and "\n" not in found)


@pytest.mark.parametrize(("file", "text", "number"), [
    ("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23", "580.95.05"),
    ("etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64", "R36 4.3"),
    ("etc/hostname", "kiosk", ""),
])
def test_the_drivers_number_is_read_from_where_each_kind_of_machine_has_it(tmp_path, file, text, number):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text + "\n")
    assert library.driver_version(tmp_path) == number


def test_a_library_that_does_not_load_is_a_sentence(monkeypatch, tmp_path):
    (tmp_path / "broken_tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(BuildError, match=r"libnvinfer.so.10: cannot open .* must fit the driver"):
        library.load("broken_tensorrt")


def test_it_is_not_imported_by_default():
    import subprocess
    code = ("import sys, aisle.runtime.app, aisle.runtime.backends, aisle.runtime.engine_keeper as k\n"
            "print([m for m in sys.modules if 'tensorrt' in m or 'pycuda' in m])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_open_takes_the_engine_from_the_user_s_cache_and_says_how_to_get_one(fakes, memory, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(BUILDERS, "tensorrt", "over_fakes:FakedBuilder")
    bundle, backend = sums(tmp_path), fakes.FakedBackend(memory)
    with pytest.raises(BundleError, match=r"no TensorRT engine of 'm' .fp32. is built for this machine; .*aisle model compile"):
        TensorrtBackend.open(backend, bundle, DEVICE)
    wish = make_wish(bundle, "tensorrt", "fp32", "m.onnx", BUILDERS["tensorrt"], DEVICE)
    cache = EngineCache(tmp_path / "cache" / "aisle" / "engines", 1 << 30)
    write_engine(cache.candidate(wish.key), wish.key.table(), fakes.FakedBuilder().build(wish.job, lambda *_: None))
    cache.accept(wish.key)
    session = TensorrtBackend.open(backend, bundle, DEVICE)
    wanted = fill(session, 2)
    session.run(2)
    assert np.array_equal(session.rows(0, 2)["OUTPUT0"], wanted)
    session.close()
    cache.make_room(1 << 30)
    assert cache.sizes() == {}, "a session that is closed holds no engine"


# ---- the whole way

async def test_a_model_is_built_checked_and_switched_through_our_own_builder_and_session(fakes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setitem(BACKENDS, "tensorrt", "over_fakes:FakedBackend")
    monkeypatch.setitem(BUILDERS, "tensorrt", "over_fakes:FakedBuilder")
    folder = tmp_path / "models" / "net" / "1"
    folder.mkdir(parents=True)
    conv_net(folder / "net.onnx", 16)
    bundle = Bundle("net", "1", "model", folder, (TensorSpec("image", "float32", (3, 16, 16)),),
                    (TensorSpec("features", "float32", (16, 4, 4)), TensorSpec("scores", "float32", (4,))),
                    {("onnx", "fp32"): "net.onnx"}, 4, sha256={"net.onnx": digest(folder / "net.onnx")})
    write_bundle_toml(bundle, folder)
    device = DeviceProfile("jetson", backends=("tensorrt", "onnx"), threads=1)
    repository = Repository(tmp_path / "models", device, Pool(2), engines=EnginesConfig(path=str(tmp_path / "engines")))
    keeping = asyncio.create_task(repository.engines.run(repository))
    try:
        await repository.start()
        image = {"image": np.random.default_rng(1).random((3, 3, 16, 16)).astype(np.float32)}
        served = repository.get("net")
        assert served.backend == "onnx"
        before = await served.infer(image)
        while (served := repository.get("net")).backend == "onnx":
            assert served.cycle.stage not in ("failed", "given-up"), served.cycle.reason
            await asyncio.sleep(0.02)
        after = await served.infer(image)
        assert served.backend == "tensorrt" and served.cycle.stage == "serving"
        for name in before:
            np.testing.assert_allclose(after[name], before[name], rtol=1e-5, atol=1e-6)
        assert served.cycle.wish.key.profiles[1]["image"][2] == (4, 3, 16, 16)
    finally:
        keeping.cancel()
        await repository.close()
        repository.pool.close()
    assert isinstance(repository.engines, EngineKeeper)
