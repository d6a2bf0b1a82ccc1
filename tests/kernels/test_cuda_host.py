"""Every CUDA kernel, run on the host from its own source, against the reference on all cases of its op."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from aisle.bench.kernels.catalogue import PACKAGES, Case, cases, variants
from aisle.kernels import _cuda
from aisle.kernels._op import Op

sys.path.insert(0, str(Path(__file__).parent))
from cuda_host import KERNELS, HostDriver, kernels

OPS = [package for package in PACKAGES if (KERNELS / package / "fast.cu").exists()]
MOST_CELLS = 3_000_000       # a case beyond this is for a GPU: the host takes a minute


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostDriver]:
    driver = HostDriver(tmp_path_factory.mktemp("cuda-host"))
    with _cuda.using(driver):
        yield driver


def results(case: Case, arguments: dict) -> list[np.ndarray]:
    """What the call gives and writes, on the host."""
    given = case.call(**arguments)
    out = arguments.get("out", ())
    values = [v for v in (*(out if isinstance(out, tuple) else (out,)), given) if v is not None]
    return [v.host() if isinstance(v, _cuda.DeviceArray) else np.asarray(v) for v in values]


def wanted(case: Case) -> list[np.ndarray]:
    op = Op.table[case.op]
    before, op._run = op._run, variants(case.op)["reference"]
    try:
        return results(case, case.fresh())
    finally:
        op._run = before


def on_device(value: object) -> object:
    if isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
        return tuple(_cuda.DeviceArray.of(v) for v in value)
    return _cuda.DeviceArray.of(value) if isinstance(value, np.ndarray) else value


def suits(case: Case) -> bool:
    return sum(v.size for v in case.arguments.values() if isinstance(v, np.ndarray)) <= MOST_CELLS


@pytest.mark.parametrize("package", OPS)
def test_every_kernel_agrees_with_the_reference_on_all_cases(package: str, host: HostDriver) -> None:
    ran = 0
    for case in cases(package):
        if not Op.table[case.op].has_device() or not suits(case):
            continue
        arguments = {key: on_device(value) for key, value in case.fresh().items()}
        try:
            found = results(case, arguments)
        finally:
            host.forget()
        for got, want in zip(found, wanted(case), strict=True):
            floats = want.dtype.kind == "f"
            absolute, relative = (case.tolerance if isinstance(case.tolerance, tuple)
                                  else (case.tolerance, case.tolerance if floats else 0.0))
            np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=relative, atol=absolute,
                                       err_msg=f"{case.op}, case {case.number}")
        ran += 1
    assert ran, f"no case of {package} ran"
    assert {name for name, _ in kernels(package)} == {name for op, name in host.launched if op == package}
