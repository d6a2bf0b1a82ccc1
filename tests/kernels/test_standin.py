"""The stand-in for libcuda, by its C interface: what it must find is found, and what is right goes through."""

import ctypes as c
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import cuda_host
import standin

SOURCE = """
extern "C" __global__ void add(const int* a, int n, int step, int* out) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < n) out[at] = a[at] + step;
}
extern "C" __global__ void careless(const int* a, int at, int write, int* out) {
    if (write) out[at] = 1;
    else out[0] = a[at];
}
extern "C" __global__ void torn(int* out) {
    if (threadIdx.x) __syncthreads();
    out[threadIdx.x] = 1;
}
"""
VALUE, CONTEXT, MISSING, NOT_READY, ADDRESS, FAILED = 1, 201, 500, 600, 700, 719


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("standin")
    (made / "op").mkdir()
    (made / "op" / "fast.cu").write_text(SOURCE)
    before, cuda_host.KERNELS = cuda_host.KERNELS, made
    try:
        cuda_host.build("op", made)
    finally:
        cuda_host.KERNELS = before
    standin.build(made, {"cuNeverHeardOf"})
    return made


class Cuda:
    """The library loaded once more, with everything as it was at the start."""

    def __init__(self, folder: Path, number: int) -> None:
        copy = folder / f"libcuda{number}.so"
        copy.write_bytes((folder / standin.NAME).read_bytes())
        self.call = c.CDLL(str(copy))
        self.folder = folder
        context, module = c.c_void_p(), c.c_void_p()
        assert self.call.cuDevicePrimaryCtxRetain(c.byref(context), 0) == 0
        assert self.call.cuCtxPushCurrent_v2(context) == 0
        assert self.call.cuModuleLoad(c.byref(module), str(folder / "op.so").encode()) == 0
        self.module = module

    def alloc(self, values: np.ndarray) -> int:
        at = c.c_ulonglong()
        assert self.call.cuMemAlloc_v2(c.byref(at), c.c_size_t(values.nbytes)) == 0
        assert self.call.cuMemcpyHtoD_v2(at, c.c_void_p(values.ctypes.data), c.c_size_t(values.nbytes)) == 0
        return at.value

    def copy_back(self, values: np.ndarray, at: int, stream: c.c_void_p | None = None) -> int:
        given = c.c_void_p(values.ctypes.data), c.c_ulonglong(at), c.c_size_t(values.nbytes)
        return int(self.call.cuMemcpyDtoHAsync_v2(*given, stream) if stream else self.call.cuMemcpyDtoH_v2(*given))

    def stream(self) -> c.c_void_p:
        made = c.c_void_p()
        assert self.call.cuStreamCreate(c.byref(made), 0) == 0
        return made

    def launch(self, name: str, *arguments: int, stream: c.c_void_p | None = None, block: int = 32, grid: int = 1,
               extra: bytes = b"") -> int:
        """Pointers are what is larger than 32 bits."""
        function, packed = c.c_void_p(), b""
        assert self.call.cuModuleGetFunction(c.byref(function), self.module, name.encode()) == 0
        for value in arguments:
            size = 8 if value >= 1 << 32 else 4
            packed += b"\0" * (-len(packed) % size) + value.to_bytes(size, "little", signed=True)
        packed += extra
        kept, length = c.create_string_buffer(packed, len(packed)), c.c_size_t(len(packed))
        config = (c.c_void_p * 5)(1, c.addressof(kept), 2, c.addressof(length), 0)
        return int(self.call.cuLaunchKernel(function, grid, 1, 1, block, 1, 1, 0, stream, None, config))


numbers = iter(range(1000))


@pytest.fixture
def cuda(folder: Path) -> Iterator[Cuda]:
    yield Cuda(folder, next(numbers))


def test_a_launch_waits_until_somebody_waits_for_it(cuda: Cuda) -> None:
    values, got, stream = np.arange(40, dtype=np.int32), np.zeros(40, np.int32), cuda.stream()
    a, out = cuda.alloc(values), cuda.alloc(got)
    assert cuda.launch("add", a, 40, 5, out, stream=stream, grid=2) == 0
    assert cuda.copy_back(got, out, stream) == 0
    assert not got.any() and cuda.call.cuStreamQuery(stream) == NOT_READY
    assert cuda.call.cuStreamSynchronize(stream) == 0
    assert (got == values + 5).all() and cuda.call.cuStreamQuery(stream) == 0


def test_streams_keep_their_own_order_and_not_each_others(cuda: Cuda) -> None:
    one, two, got = cuda.stream(), cuda.stream(), np.zeros(4, np.int32)
    a, out = cuda.alloc(got), cuda.alloc(got)
    for step in (1, 2, 3):
        assert cuda.launch("add", a, 4, step, out, stream=one) == 0
    assert cuda.copy_back(got, out, two) == 0 and cuda.call.cuStreamSynchronize(two) == 0
    assert not got.any()
    event = c.c_void_p()
    assert cuda.call.cuEventCreate(c.byref(event), 0) == 0 and cuda.call.cuEventRecord(event, one) == 0
    assert cuda.call.cuStreamWaitEvent(two, event, 0) == 0
    assert cuda.copy_back(got, out, two) == 0 and cuda.call.cuStreamSynchronize(two) == 0
    assert (got == 3).all()


@pytest.mark.parametrize("values", [4, 100, 1023, 1024, 5000])
@pytest.mark.parametrize(("at", "write"), [(-1, 1), (0, 1), (4096, 1), (4, 0), (4096, 0), (200_000, 0)])
def test_a_kernel_that_leaves_its_memory_loses_the_context(cuda: Cuda, values: int, at: int, write: int) -> None:
    a, out = cuda.alloc(np.zeros(values, np.int32)), cuda.alloc(np.zeros(values, np.int32))
    assert cuda.launch("careless", a, at if at < 0 else values + at, write, out, block=1) == 0
    assert cuda.call.cuCtxSynchronize() == ADDRESS
    assert cuda.call.cuMemAlloc_v2(c.byref(c.c_ulonglong()), c.c_size_t(4)) == ADDRESS, "a lost context stays lost"


def test_memory_that_was_freed_is_gone(cuda: Cuda) -> None:
    a, out = cuda.alloc(np.zeros(9, np.int32)), cuda.alloc(np.zeros(9, np.int32))
    assert cuda.call.cuMemFree_v2(c.c_ulonglong(a)) == 0
    assert cuda.call.cuMemFree_v2(c.c_ulonglong(a)) == VALUE
    assert cuda.copy_back(np.zeros(9, np.int32), a) == VALUE
    assert cuda.launch("add", a, 9, 1, out) == 0 and cuda.call.cuCtxSynchronize() == ADDRESS


def test_freeing_waits_for_what_was_started(cuda: Cuda) -> None:
    stream, got = cuda.stream(), np.zeros(3, np.int32)
    a, out = cuda.alloc(got), cuda.alloc(got)
    assert cuda.launch("add", a, 3, 7, out, stream=stream) == 0
    assert cuda.call.cuMemFree_v2(c.c_ulonglong(a)) == 0
    assert cuda.copy_back(got, out) == 0 and (got == 7).all()


def test_copies_beyond_an_allocation_are_refused(cuda: Cuda) -> None:
    at = cuda.alloc(np.zeros(10, np.int32))
    for start, length in ((at, 11), (at + 4, 10), (at - 4, 2), (at + 40, 1)):
        assert cuda.copy_back(np.zeros(length, np.int32), start) == VALUE
    assert cuda.copy_back(np.zeros(9, np.int32), at + 4) == 0


def test_a_launch_that_cannot_be_is_refused_at_once(cuda: Cuda) -> None:
    at = cuda.alloc(np.zeros(64, np.int32))
    assert cuda.launch("add", at, 64, 1, at, extra=b"\0\0\0\0") == VALUE
    assert cuda.launch("add", at, 64, 1) == VALUE
    assert cuda.launch("add", at, 64, 1, at, block=1025) == VALUE
    assert cuda.launch("add", at, 64, 1, at, grid=0) == VALUE
    assert cuda.call.cuModuleGetFunction(c.byref(c.c_void_p()), cuda.module, b"nothing") == MISSING
    assert cuda.launch("add", at, 64, 1, at, grid=2) == 0 and cuda.call.cuCtxSynchronize() == 0


def test_a_torn_barrier_is_a_failed_launch(cuda: Cuda) -> None:
    assert cuda.launch("torn", cuda.alloc(np.zeros(32, np.int32))) == 0
    assert cuda.call.cuCtxSynchronize() == FAILED


def test_memory_comes_full_of_rubbish(cuda: Cuda) -> None:
    at, got = c.c_ulonglong(), np.zeros(100, np.uint8)
    assert cuda.call.cuMemAlloc_v2(c.byref(at), c.c_size_t(100)) == 0
    assert cuda.copy_back(got, at.value) == 0 and (got == 0xCD).all()


def test_a_thread_without_the_context_gets_nothing(cuda: Cuda) -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(cuda.call.cuCtxSynchronize()))
    thread.start()
    thread.join()
    assert found == [CONTEXT] and cuda.call.cuCtxSynchronize() == 0
    assert cuda.call.cuCtxPopCurrent_v2(None) == 0 and cuda.call.cuCtxSynchronize() == CONTEXT


def test_names_that_are_not_here_say_so(cuda: Cuda, folder: Path) -> None:
    assert cuda.call.cuNeverHeardOf() == 801
    assert "cuMemAlloc_v2" not in standin.linked(folder / standin.NAME)
