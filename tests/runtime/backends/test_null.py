"""The backend without a library, and the mishaps it can be asked for."""

import numpy as np
import pytest
from aisle.models.bundle import Bundle, BundleError, TensorSpec
from aisle.runtime.backends.null import NullBackend
from aisle.runtime.errors import Failed

X, Y = TensorSpec("x", "float32", (2,)), TensorSpec("y", "float32", (2,))


def bundle(tmp_path, **facts):
    facts = {"inputs": (X,), "outputs": (Y,), "max_batch": 2, **facts}
    return Bundle("n", "1", "model", tmp_path, files={("null", "fp32"): "none"}, **facts)


def test_every_third_run_fails_if_asked(tmp_path, device):
    session = NullBackend().open(bundle(tmp_path, params={"fail_every": 3}), device)
    outcomes = []
    for _ in range(6):
        try:
            session.run(1)
            outcomes.append("ok")
        except Failed as error:
            assert "fail_every" in str(error)
            outcomes.append("failed")
    assert outcomes == ["ok", "ok", "failed"] * 2


@pytest.mark.parametrize("facts", [
    {"inputs": ()},
    {"outputs": (Y, TensorSpec("z", "float32", (2,)))},
    {"outputs": (TensorSpec("y", "float32", (3,)),)},
    {"outputs": (TensorSpec("y", "int32", (2,)),)},
])
def test_tensors_that_cannot_be_copied_are_refused(tmp_path, facts):
    with pytest.raises(BundleError, match="null bundle 'n'"):
        NullBackend().describe(bundle(tmp_path, **facts))


def test_a_block_beyond_the_limit_is_refused_before_it_is_taken(tmp_path, device):
    big = {"inputs": (TensorSpec("x", "float32", (2**31,)),), "outputs": (TensorSpec("y", "float32", (2**31,)),)}
    with pytest.raises(BundleError, match="bytes for 2 rows"):
        NullBackend().open(bundle(tmp_path, **big), device)


def test_an_optional_input_makes_the_path_free(tmp_path, device):
    free = NullBackend().open(bundle(tmp_path, max_batch=0, inputs=(X, TensorSpec("o", "float32", (1,), True))), device)
    assert np.array_equal(free.run({"x": np.ones(2, np.float32)}, [])["y"], np.ones(2))
