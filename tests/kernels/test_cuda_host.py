"""Every CUDA kernel, run on the host from its own source, against the reference on all cases of its op."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aisle.bench import gpu
from aisle.bench.kernels.catalogue import Case, cases
from aisle.bench.report import Options, Row
from aisle.kernels import _cuda, knn, smooth, top_mean
from aisle.kernels._op import Op

sys.path.insert(0, str(Path(__file__).parent))
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
    assert {name for name, _ in kernels(package)} == {name for op, name in host.launched if op == package}


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


def test_an_op_without_cuda_says_so(host: HostDriver) -> None:
    assert not Op.table["heatmap.top_mean"].has_device()
    with pytest.raises(ValueError, match="on the device"):
        top_mean(_cuda.DeviceArray((4, 4), np.float32))


def test_numpy_does_not_fetch_an_array_from_the_device_unasked(host: HostDriver) -> None:
    with pytest.raises(ValueError, match=r"copy it with \.host\(\)"):
        np.sum(_cuda.DeviceArray((4, 4), np.float32))
    assert _cuda.DeviceArray((4, 4), np.float32).reshape(2, 8, 1).host().shape == (2, 8, 1)
    with pytest.raises(ValueError, match="expected 16 elements"):
        _cuda.DeviceArray((4, 4), np.float32).reshape(15)
    with pytest.raises(ValueError, match=r"expected float32 \(4, 4\), got float64 \(4, 4\)"):
        _cuda.DeviceArray((4, 4), np.float32).set(np.zeros((4, 4)))


def test_the_gpu_check_reports_every_op(host: HostDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "median_us", lambda call: 2.0 if call() is None else 0.0)
    errors, times = gpu.run(Options(only="tint"))
    assert errors.met and errors.value is not None and errors.value <= 1
    assert times.value == times.peer_value == 2.0 and times.peer


def test_the_page_keeps_what_stands_around_the_section(tmp_path: Path) -> None:
    page = tmp_path / "verified-on.md"
    page.write_text(f"# Head\n\n{gpu.BEGIN}\nnot run\n{gpu.END}\n\ntail\n")
    rows = [Row("tint", "worst", 0.5, "1", met=True), Row("knn", "worst", None, met=None)]
    for name in ("one GPU", "another GPU"):
        gpu.record(gpu.section(rows, name, "abc", "2026-01-01"), page)
    text = page.read_text()
    assert text.startswith("# Head\n") and text.endswith("\n\ntail\n") and "another GPU" in text and "one GPU" not in text
    assert "not run" not in text and "| tint | worst | 0.5 1 | yes |" in text


def test_without_a_gpu_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def no_driver() -> None:
        raise _cuda.CudaError("pycuda cannot be loaded", sticky=False)
    monkeypatch.setattr(_cuda, "driver", no_driver)
    assert gpu.main() == 1
    assert capsys.readouterr().out == "no GPU was used: pycuda cannot be loaded\n"
