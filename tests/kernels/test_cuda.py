"""The file that imports pycuda, over a stand-in for it: contexts, streams, modules, and what is said when a call fails."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aisle.kernels import _cuda, overlay, smooth


class Error(Exception):
    pass


class Allocation(int):
    """An address that can be freed, in a thread that holds the context."""

    fake: "FakeDriver"

    def free(self) -> None:
        self.fake.did("free", int(self))
        del self.fake.memory[int(self)]


class FakeDriver(ModuleType):
    """As much of pycuda.driver as is used; each call says what it did, and fails where `failing` says so."""

    def __init__(self) -> None:
        super().__init__("pycuda.driver")
        self.Error = Error
        self.calls: list[tuple] = []
        self.failing: dict[str, str] = {}
        self.depth = threading.local()
        self.Context = SimpleNamespace(pop=lambda: self.enter(-1), synchronize=lambda: self.did("synchronize"))
        self.Device = lambda number: SimpleNamespace(
            name=lambda: "a card", compute_capability=lambda: (9, 0),
            retain_primary_context=lambda: SimpleNamespace(push=lambda: self.enter(1)))
        self.memory: dict[int, np.ndarray] = {}
        self.allocated = 0

    def enter(self, step: int) -> None:
        self.depth.value = getattr(self.depth, "value", 0) + step

    def did(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] in self.failing:
            raise Error(f"cu{call[0]} failed: {self.failing[call[0]]}")
        if call[0] not in ("init", "synchronize"):
            assert self.depth.value == 1, f"{call[0]} without a context"

    def init(self) -> None:
        self.did("init")

    def Stream(self) -> SimpleNamespace:
        self.did("stream")
        return SimpleNamespace(synchronize=lambda: self.did("wait"), number=len(self.calls))

    def mem_alloc(self, size: int) -> Allocation:
        self.did("alloc", size)
        self.allocated += 1
        made = Allocation(4096 * self.allocated)
        made.fake = self
        self.memory[int(made)] = np.zeros(size, np.uint8)
        return made

    def memcpy_htod_async(self, address: int, values: np.ndarray, stream: Any) -> None:
        self.did("htod", values.nbytes)
        self.memory[address][:values.nbytes] = np.frombuffer(values.tobytes(), np.uint8)

    def memcpy_dtoh_async(self, values: np.ndarray, address: int, stream: Any) -> None:
        self.did("dtoh", values.nbytes)
        values[...] = self.memory[address][:values.nbytes].view(values.dtype).reshape(values.shape)

    def module_from_file(self, path: str) -> SimpleNamespace:
        self.did("module", path)
        return SimpleNamespace(get_function=lambda name: SimpleNamespace(prepare=lambda layout: self.function(name, layout)))

    def function(self, name: str, layout: str) -> SimpleNamespace:
        return SimpleNamespace(prepared_async_call=lambda grid, block, stream, *arguments: self.did(
            "launch", name, layout, grid, block, stream.number, arguments))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeDriver]:
    made = FakeDriver()
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", made)
    built = tmp_path / "fast.fatbin"
    built.touch()
    monkeypatch.setattr(_cuda, "fatbin", lambda package: built)
    monkeypatch.setattr(_cuda, "_held", [])
    yield made
    assert getattr(made.depth, "value", 0) == 0, "a thread was left holding the context"


def test_arrays_go_there_and_come_back(fake: FakeDriver) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    there = _cuda.DeviceArray.of(values)
    np.testing.assert_array_equal(there.host(), values)
    assert there.__cuda_array_interface__["shape"] == (2, 3) and len(there) == 2
    assert fake.calls.count(("init",)) == 1 and fake.calls[-1] == ("wait",)
    assert _cuda.driver().name == "a card, sm_90"   # type: ignore[attr-defined]


def test_a_launch_covers_every_element_and_a_module_is_loaded_once(fake: FakeDriver) -> None:
    one, two = _cuda.DeviceArray((9, 65), np.float32), _cuda.DeviceArray((9, 65), np.float32)
    smooth(one, out=two)
    smooth(one, out=two)
    launches = [call for call in fake.calls if call[0] == "launch"]
    assert len(launches) == 2 and launches[0] == launches[1]
    _, name, layout, grid, block, _, arguments = launches[0]
    assert (name, layout, grid, block) == ("smooth", "PiiP", (3, 1, 1), (256, 1, 1))
    assert arguments == (one.address, 9, 65, two.address)
    overlay(_cuda.DeviceArray((4, 4, 3), np.uint8), one, 0, 1, out=_cuda.DeviceArray((4, 4, 3), np.uint8))
    assert sum(call[0] == "module" for call in fake.calls) == 1, "another kernel of the op is in the same module"


def test_each_thread_has_its_stream_and_leaves_no_context_behind(fake: FakeDriver) -> None:
    one, two = _cuda.DeviceArray((4, 4), np.float32), _cuda.DeviceArray((4, 4), np.float32)
    def work() -> None:
        smooth(one, out=two)
        assert fake.depth.value == 0
    work()
    other = threading.Thread(target=work)
    other.start()
    other.join()
    assert len({call[5] for call in fake.calls if call[0] == "launch"}) == 2


def test_memory_is_freed_in_whatever_thread_drops_it(fake: FakeDriver) -> None:
    kept = [_cuda.DeviceArray((4,), np.float32)]
    _cuda.DeviceArray((4,), np.float32)
    assert len(fake.memory) == 1
    view = [kept[0].reshape(2, 2)]
    kept.clear()
    assert len(fake.memory) == 1, "a view holds it too"
    thread = threading.Thread(target=view.clear)
    thread.start()
    thread.join()
    assert not fake.memory and fake.calls[-1][0] == "free"


def test_memory_of_a_lost_context_is_not_given_back(fake: FakeDriver) -> None:
    there = [_cuda.DeviceArray((16,), np.float32)]
    fake.failing |= dict.fromkeys(("free", "synchronize"), "an illegal memory access was encountered")
    there.clear()
    with pytest.raises(_cuda.CudaError, match="ILLEGAL_ADDRESS"):
        _cuda.DeviceArray((16,), np.float32)


def test_an_error_that_passes_is_named_and_explained(fake: FakeDriver) -> None:
    fake.failing["alloc"] = "out of memory"
    with pytest.raises(_cuda.CudaError, match=r"allocating 64 bytes failed with CUDA_ERROR_OUT_OF_MEMORY: the device's memory "
                                              r"is full") as caught:
        _cuda.DeviceArray((16,), np.float32)
    assert not caught.value.sticky
    fake.failing.clear()
    assert _cuda.DeviceArray((16,), np.float32).host().shape == (16,)


def test_an_error_that_stays_is_said_to_and_nothing_is_tried_again(fake: FakeDriver) -> None:
    there = _cuda.DeviceArray((16,), np.float32)
    fake.failing |= dict.fromkeys(("wait", "synchronize"), "an illegal memory access was encountered")
    with pytest.raises(_cuda.CudaError, match=r"ILLEGAL_ADDRESS: a kernel read or wrote outside .* sticky.* started again"
                       ) as caught:
        there.host()
    assert caught.value.sticky
    fake.failing.clear()
    before = len(fake.calls)
    with pytest.raises(_cuda.CudaError, match="ILLEGAL_ADDRESS") as again:
        there.host()
    assert again.value.sticky and len(fake.calls) == before


def test_an_unknown_error_keeps_its_own_words(fake: FakeDriver) -> None:
    fake.failing["launch"] = "the moon is full"
    one, two = _cuda.DeviceArray((4, 4), np.float32), _cuda.DeviceArray((4, 4), np.float32)
    with pytest.raises(_cuda.CudaError, match=r"launching smooth, grid \(1, 1, 1\).*the moon is full"):
        smooth(one, out=two)


def test_a_missing_fatbin_says_what_to_do(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_cuda, "fatbin", lambda package: tmp_path / "none" / "fast.fatbin")
    one, two = _cuda.DeviceArray((4, 4), np.float32), _cuda.DeviceArray((4, 4), np.float32)
    with pytest.raises(_cuda.CudaError, match=r"none/fast\.fatbin is not built here: put nvcc on the PATH"):
        smooth(one, out=two)


def test_without_pycuda_or_a_gpu_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, fake: FakeDriver) -> None:
    fake.failing["init"] = "no CUDA-capable device is detected"
    with pytest.raises(_cuda.CudaError, match=r"starting CUDA failed with CUDA_ERROR_NO_DEVICE: .* finds no GPU"):
        _cuda.driver()
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(_cuda.CudaError, match=r"pycuda cannot be loaded .* pip install"):
        _cuda.driver()


def test_the_doctor_is_told_what_is_missing() -> None:
    folder = Path(_cuda.__file__).parent
    built = all((source.parent / "fast.fatbin").exists() for source in folder.glob("*/fast.cu"))
    said = _cuda.missing(lambda name: None)
    assert said is not None and ("pycuda is not installed" in said if built else "nvcc was not found" in said)
    assert (_cuda.missing(lambda name: object()) is None) == built
