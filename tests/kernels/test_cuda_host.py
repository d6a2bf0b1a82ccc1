"""Every CUDA kernel, run on the host from its own source, against the reference on all cases of its op."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from aisle.bench import gpu
from aisle.bench.gpu_work import every
from aisle.bench.kernels.catalogue import Case, cases
from aisle.bench.report import Options, Row
from aisle.kernels import _cuda, heatmap, knn, regions, smooth, top_mean, warp
from aisle.kernels._op import Op
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import cuda_host
from cuda_host import HostDriver, kernels

MOST_CELLS = 3_000_000       # a case beyond this is for a GPU: the host takes a minute


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostDriver]:
    driver = HostDriver(tmp_path_factory.mktemp("cuda-host"))
    with _cuda.using(driver):
        yield driver


def suits(case: Case) -> bool:
    cells = sum(v.size for v in case.arguments.values() if isinstance(v, np.ndarray))
    return Op.table[case.op].has_device() and cells <= MOST_CELLS


@pytest.mark.parametrize("package", gpu.packages())
def test_every_kernel_agrees_with_the_reference_on_all_cases(package: str, host: HostDriver) -> None:
    chosen = [case for case in cases(package) if suits(case)]
    assert chosen
    for case in chosen:
        found = gpu.results(case, {key: gpu.on_device(value) for key, value in case.fresh().items()})
        host.forget()
        assert gpu.worst(case, found) <= 1, f"{case.op}, case {case.number}"
    assert set(kernels(package)) == {name for op, name in host.launched if op == package}


TROUBLED = """
extern "C" __global__ void torn(int* out, int some) {
    if ((int)threadIdx.x %s some) __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void beyond(int* out, int at) { out[at] = 1; }
"""


@pytest.mark.parametrize("which", ["<", ">=", "!=", "=="])
def test_a_barrier_that_some_threads_pass_by_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    monkeypatch.setattr(cuda_host, "KERNELS", tmp_path)
    (tmp_path / "trouble").mkdir()
    (tmp_path / "trouble" / "fast.cu").write_text(TROUBLED % which)
    with _cuda.using(HostDriver(tmp_path)):
        out = _cuda.DeviceArray((8,), np.int32)
        for some in (1, 5, 7):
            with pytest.raises(AssertionError, match="a barrier was not reached by every thread"):
                _cuda.launch("x.trouble", "torn", (8,), "Pi", out, some, block=(8, 1, 1))
        with pytest.raises(AssertionError, match="another size than the kernel's parameters"):
            _cuda.launch("x.trouble", "torn", (8,), "P", out)
        for at in (-1, 8):
            with pytest.raises(AssertionError, match="wrote outside its arrays"):
                _cuda.launch("x.trouble", "beyond", (1,), "Pi", out, at, block=(1, 1, 1))


def test_a_case_that_differs_is_told() -> None:
    case = next(c for c in cases("heatmap") if c.op == "heatmap.smooth")
    found = gpu.truth(case)
    assert gpu.worst(case, found) == 0
    found[0][0, 0] += 1
    assert gpu.worst(case, found) > 1
    found[0][0, 0] = np.nan
    assert gpu.worst(case, found) == np.inf


def test_arrays_in_two_places_are_refused(host: HostDriver) -> None:
    there, here = _cuda.DeviceArray((4, 4), np.float32), np.zeros((4, 4), np.float32)
    with pytest.raises(ValueError, match="on the device, where `out` is, got one in host memory - at `map`"):
        smooth(here, out=there)
    with pytest.raises(ValueError, match="in host memory, where `out` is, got one on the device - at `map`"):
        smooth(there, out=here)
    with pytest.raises(ValueError, match="memory shared with `map`"):
        smooth(there, out=there)


def test_shapes_are_checked_for_arrays_on_the_device_too(host: HostDriver) -> None:
    codes = _cuda.DeviceArray((2, 2, 4), np.int8)
    with pytest.raises(ValueError, match=r"expected int32 \(2, 2\), got float32 \(2, 2\) - at `out`"):
        knn(codes, _cuda.DeviceArray((1, 2, 2, 4), np.int8), out=_cuda.DeviceArray((2, 2), np.float32), radius=0)


def test_parts_of_a_whole_bank_are_skipped(host: HostDriver) -> None:
    rng = np.random.default_rng(0)
    query, bank = rng.integers(-9, 9, (3, 4, 8), dtype=np.int8), rng.integers(-9, 9, (5, 2, 3, 8), dtype=np.int8)
    bank[3, 1, 2] = query[0, 0]
    for skip in (np.array([0, 0, 0, 1, 0], np.uint8), np.array([1, 1, 1, 0, 1], np.uint8)):
        here, there = np.empty((3, 4), np.int32), _cuda.DeviceArray((3, 4), np.int32)
        knn(query, bank, out=here, radius=None, skip=skip)
        knn(_cuda.DeviceArray.of(query), _cuda.DeviceArray.of(bank), out=there, radius=None, skip=_cuda.DeviceArray.of(skip))
        np.testing.assert_array_equal(there.host(), here)


def test_an_op_without_cuda_says_so(host: HostDriver) -> None:
    import_module("aisle.kernels.distance_field")
    op = Op.table["distance_field.steps"]
    assert not op.has_device()
    with pytest.raises(ValueError, match="in host memory, got one on the device - at `distance_field"):
        op(_cuda.DeviceArray((4, 4), np.float32))


@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([0.02, 0.3, 0.45, 0.6, 0.99]), st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_regions_of_any_map_are_those_of_the_reference(host: HostDriver, h: int, w: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    map = rng.random((h, w), np.float32).round(2) * (rng.random((h, w)) < share)
    out, there = np.full((5, 6), -1, np.float32), _cuda.DeviceArray.of(np.full((5, 6), -1, np.float32))
    assert regions(_cuda.DeviceArray.of(map), 0.2, out=there) == regions(map, 0.2, out=out)
    np.testing.assert_array_equal(there.host(), out)
    host.forget()


def test_a_region_that_winds_is_one(host: HostDriver) -> None:
    map = np.zeros((33, 100), np.float32)
    map[::4] = 1                                    # rows, joined at alternate ends
    map[1:4, -1], map[5:8, 0], map[9:12, -1], map[13:16, 0] = 1, 1, 1, 1
    map[16, 50] = 2
    out = _cuda.DeviceArray.of(np.zeros((9, 6), np.float32))
    assert regions(_cuda.DeviceArray.of(map), 0.5, out=out) == 5
    assert out.host()[0].tolist() == [0, 0, 100, 17, 512, 2]


@pytest.mark.parametrize("count", [1, 3, 500, 10_000])
def test_the_highest_cells_of_maps_of_all_kinds(host: HostDriver, count: int) -> None:
    rng = np.random.default_rng(count)
    normal = rng.standard_normal((70, 90)).astype(np.float32)
    far = np.where(normal > 3, np.inf, normal)
    for map in (normal, normal * 1e30, normal.round(), np.zeros_like(normal), -np.abs(normal), far):
        assert top_mean(_cuda.DeviceArray.of(map), count) == pytest.approx(top_mean(map, count), rel=1e-6)
    for bad in (np.nan, -np.float32(np.nan)):
        assert np.isnan(top_mean(_cuda.DeviceArray.of(np.where(normal == normal.max(), bad, normal)), count))
    host.forget()


def test_a_map_with_no_number_in_it_has_no_score(host: HostDriver) -> None:
    map = np.zeros((9, 9), np.float32)
    map[4, 4] = np.inf
    out = _cuda.DeviceArray((20, 20), np.float32), _cuda.DeviceArray((2, 6), np.float32)
    assert np.isnan(heatmap(_cuda.DeviceArray.of(map), 0.5, out=out)[0])
    away = np.zeros((9, 9), np.float32)
    away[0, 0] = np.inf          # no cell of the grown map reaches as far
    one = _cuda.DeviceArray((1, 1), np.float32), _cuda.DeviceArray((2, 6), np.float32)
    assert np.isnan(heatmap(_cuda.DeviceArray.of(away), 0.5, out=one)[0])


def test_the_matrix_of_a_region_may_lie_in_either_place(host: HostDriver) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    matrix = np.array([[0.7, 0.2, 3], [-0.2, 0.9, 5], [0.001, 0, 1]])
    here, there = np.empty((3, 8, 9), np.float32), _cuda.DeviceArray((3, 8, 9), np.float32)
    warp(image, matrix, out=here)
    for given_matrix in (matrix, _cuda.DeviceArray.of(matrix)):
        warp(_cuda.DeviceArray.of(image), given_matrix, out=there)
        np.testing.assert_allclose(there.host(), here, atol=2e-3)
    with pytest.raises(ValueError, match="memory shared with `matrix`"):
        warp(np.zeros((4, 4), np.uint8), matrix, out=matrix.view(np.float32).reshape(1, 3, 6))


def test_a_grid_beyond_what_a_device_takes_is_refused(host: HostDriver) -> None:
    with pytest.raises(ValueError, match="at most 524280 rows and 65535 layers, got 600000 and 1 - at the arrays of x"):
        _cuda.launch("aisle.kernels.heatmap", "x", (4, 600_000), "")


def test_numpy_does_not_fetch_an_array_from_the_device_unasked(host: HostDriver) -> None:
    with pytest.raises(ValueError, match=r"copy it with \.host\(\)"):
        np.sum(_cuda.DeviceArray((4, 4), np.float32))
    assert _cuda.DeviceArray((4, 4), np.float32).reshape(2, 8, 1).host().shape == (2, 8, 1)
    with pytest.raises(ValueError, match="expected 16 elements"):
        _cuda.DeviceArray((4, 4), np.float32).reshape(15)
    with pytest.raises(ValueError, match=r"expected float32 \(4, 4\), got float64 \(4, 4\)"):
        _cuda.DeviceArray((4, 4), np.float32).set(np.zeros((4, 4)))


def test_the_gpu_check_measures_errors_times_and_bytes(host: HostDriver) -> None:
    copy, errors, agreed, times, rates = gpu.run(Options(only="tint", quick=True))
    assert copy.unit == "GB/s" and copy.value is not None and copy.value > 0
    assert errors.met and errors.value is not None and errors.value <= 1 and agreed.met
    assert times.unit == "ms" and times.value and times.peer_value and times.ratio == times.peer_value / times.value
    assert rates.peer_value == copy.value and rates.value and rates.ratio == rates.value / copy.value


def test_every_operation_of_a_device_has_work_to_be_timed_by() -> None:
    works = list(every(quick=True))
    with_device = {name for name, op in Op.table.items() if op.has_device()}
    assert {work.op for work in works} == with_device
    assert len({(work.op, work.name) for work in works}) == len(works)
    assert all(work.bytes > 0 for work in works)


def test_the_page_keeps_what_stands_around_the_section(tmp_path: Path) -> None:
    page = tmp_path / "verified-on.md"
    page.write_text(f"# Head\n\n{gpu.BEGIN}\nnot run\n{gpu.END}\n\ntail\n")
    rows = [Row("tint", "worst", 0.5, "1", met=True), Row("knn", "worst", None, met=None),
            Row("tint", "time", 0.25, "ms", peer="the CPU", peer_value=5.0, ratio=20.0)]
    for name in ("one GPU", "another GPU"):
        gpu.record(gpu.section(rows, name, "abc", "2026-01-01"), page)
    text = page.read_text()
    assert text.startswith("# Head\n") and text.endswith("\n\ntail\n") and "another GPU" in text and "one GPU" not in text
    assert "not run" not in text and "| tint | worst | 0.5 1 | - | - | yes |" in text
    assert "| tint | time | 0.25 ms | the CPU: 5 ms | 20 | - |" in text


def test_without_a_gpu_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_driver() -> None:
        raise _cuda.CudaError("pycuda cannot be loaded", sticky=False)
    monkeypatch.setattr(_cuda, "driver", no_driver)
    assert gpu.main() == 1
    assert capsys.readouterr().out == "no GPU was used: pycuda cannot be loaded\n"
