"""Every kernel of the catalogue: all its variants agree on all its cases, and hostile input is a sentence."""

import inspect
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aisle import kernels
from aisle.bench.kernels.catalogue import PACKAGES, Case, cases, every_case, variants
from aisle.kernels._op import Op

Arguments = dict[str, Any]
KERNELS = Path(kernels.__file__).parent


def outputs(case: Case, run: Callable[..., Any]) -> list[np.ndarray]:
    """What the public function gives and writes when `run` is its implementation."""
    op, arguments = Op.table[case.op], case.fresh()
    before, op._run = op._run, run
    try:
        result = case.call(**arguments)
    finally:
        op._run = before
    out = arguments.get("out", ())
    return [np.asarray(value) for value in (*(out if isinstance(out, tuple) else (out,)), result) if value is not None]


def assert_close(got: np.ndarray, want: np.ndarray, tolerance: float | tuple[float, float], where: str) -> None:
    floats = want.dtype.kind == "f"
    absolute, relative = tolerance if isinstance(tolerance, tuple) else (tolerance, tolerance if floats else 0.0)
    assert got.dtype == want.dtype and got.shape == want.shape, where
    np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=relative, atol=absolute, err_msg=where)


def test_the_catalogue_names_every_kernel() -> None:
    """Those left out give engines or fields of a map, not arrays: their own tests compare them."""
    folders = {path.parent.name for path in KERNELS.glob("*/__init__.py")}
    assert folders - set(PACKAGES) <= {"shortest_path", "distance_field", "nearest_piece", "street_line"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_variant_agrees_with_the_reference(package: str) -> None:
    for case in cases(package):
        runs = variants(case.op)
        wanted = outputs(case, runs.pop("reference"))
        for name, run in runs.items():
            for got, want in zip(outputs(case, run), wanted, strict=True):
                assert_close(got, want, case.tolerance, f"{case.op}, case {case.number}, {name}")


@pytest.mark.parametrize("package", PACKAGES)
def test_cases_are_the_same_each_time_and_leave_their_inputs_alone(package: str) -> None:
    for one, two in zip(cases(package), cases(package), strict=True):
        outputs(one, variants(one.op)["reference"])
        for key, value in one.arguments.items():
            if isinstance(value, np.ndarray) and key != "out":
                np.testing.assert_array_equal(value, two.arguments[key], err_msg=f"{one.op}, case {one.number}: {key}")


def roomiest() -> list[Case]:
    """One case an op: that with the most axes longer than one, so that a spoiled layout shows."""
    found: dict[str, Case] = {}
    for case in every_case():
        if case.op not in found or axes(case) > axes(found[case.op]):
            found[case.op] = case
    return list(found.values())


def axes(case: Case) -> int:
    return sum(n > 1 for _, value in arrays(case.fresh()) for n in value.shape)


def arrays(arguments: Arguments) -> Iterator[tuple[str, np.ndarray]]:
    return ((key, value) for key, value in arguments.items() if isinstance(value, np.ndarray))


def optional(case: Case, key: str) -> bool:
    return inspect.signature(case.call).parameters[key].default is None


CASES = roomiest()
every_op = pytest.mark.parametrize("case", CASES, ids=[case.op for case in CASES])


def refuse(case: Case, arguments: Arguments, what: str) -> None:
    with pytest.raises(ValueError, match=r"expected") as caught:
        case.call(**arguments)
        pytest.fail(f"{case.op} took {what}")
    assert " got " in str(caught.value) and " - at `" in str(caught.value), f"{what}: {caught.value}"


def survive(case: Case, arguments: Arguments) -> None:
    """Either an answer or a sentence."""
    try:
        case.call(**arguments)
    except ValueError as error:
        assert "expected" in str(error)


@every_op
def test_what_is_no_array_is_refused(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        for wrong in (None, value.tolist(), "text", 3):
            if not (wrong is None and optional(case, key)):
                refuse(case, case.fresh() | {key: wrong}, f"{type(wrong).__name__} as {key}")


@every_op
def test_a_wrong_dtype_is_refused(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        for dtype in ("complex128", "object", value.dtype.newbyteorder()):
            if np.dtype(dtype) != value.dtype:
                refuse(case, case.fresh() | {key: np.zeros(value.shape, dtype)}, f"{dtype} as {key}")


@every_op
def test_wrong_axes_are_refused(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        refuse(case, case.fresh() | {key: value[None, None, None]}, f"three axes too many in {key}")
        refuse(case, case.fresh() | {key: value.reshape(-1)[0:1].reshape(())}, f"no axes in {key}")


@every_op
def test_a_strided_array_is_refused(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        views = [np.repeat(value, 2, axis=-1)[..., ::2], np.asfortranarray(value), np.flip(value.copy(), 0)]
        for view in views:
            if not view.flags.c_contiguous:
                refuse(case, case.fresh() | {key: view}, f"strides {view.strides} in {key}")


@every_op
def test_an_unaligned_array_is_refused(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        if value.dtype.itemsize > 1:
            room = np.zeros(value.nbytes + 1, np.uint8)
            refuse(case, case.fresh() | {key: room[1:].view(value.dtype).reshape(value.shape)}, f"an unaligned {key}")


@every_op
def test_a_read_only_out_is_refused(case: Case) -> None:
    arguments = case.fresh()
    if isinstance(arguments.get("out"), np.ndarray):
        arguments["out"].flags.writeable = False
        refuse(case, arguments, "a read-only out")


@every_op
def test_an_out_that_overlaps_an_input_is_refused(case: Case) -> None:
    out = case.fresh().get("out")
    if not isinstance(out, np.ndarray):
        return
    for key, value in arrays(case.fresh()):
        if key == "out":
            continue
        room = np.zeros(max(out.nbytes, value.nbytes) + 64, np.uint8)
        both = {"out": room[:out.nbytes].view(out.dtype).reshape(out.shape),
                key: room[:value.nbytes].view(value.dtype).reshape(value.shape)}
        both[key][...] = value
        refuse(case, case.fresh() | both, f"out in the memory of {key}")


@every_op
def test_empty_arrays_are_survived(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        for axis in range(value.ndim):
            survive(case, case.fresh() | {key: np.delete(value, np.s_[:], axis)})
    nothing = {key: value[:0] for key, value in arrays(case.fresh())}
    survive(case, case.fresh() | nothing)


@every_op
def test_huge_axes_are_survived(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        for axis in range(value.ndim):
            shape = [1] * value.ndim
            shape[axis] = 40_000
            survive(case, case.fresh() | {key: np.zeros(shape, value.dtype)})


@every_op
def test_nan_and_infinity_are_survived(case: Case) -> None:
    for key, value in arrays(case.fresh()):
        if value.dtype.kind == "f" and key != "out":
            for bad in (math.nan, math.inf, -math.inf, np.finfo(value.dtype).max):
                spoiled = value.copy()
                spoiled.reshape(-1)[::3] = bad
                survive(case, case.fresh() | {key: spoiled})
                survive(case, case.fresh() | {key: np.full_like(value, bad)})


@every_op
def test_wrong_numbers_are_survived(case: Case) -> None:
    for key, value in case.arguments.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for bad in (math.nan, math.inf, -math.inf, -1, 0, 1 << 40, 1 << 80):
                survive(case, case.fresh() | {key: bad})
            for bad in ("text", [1, 2], math.nan, 1j):
                refuse(case, case.fresh() | {key: bad}, f"{bad!r} as {key}")


@every_op
def test_the_compiled_function_refuses_none(case: Case) -> None:
    """Past the check a None must still not reach memory."""
    fast = Op.table[case.op].variants().get("fast")
    if fast is not None:
        wanted = [p for p in inspect.signature(fast).parameters.values() if p.default is p.empty]
        with pytest.raises((TypeError, ValueError)):
            fast(*[None] * len(wanted))
