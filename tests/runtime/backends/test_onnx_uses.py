"""Inputs that may be read from memory that is not ours: only plain arithmetic, and then the answer is the same."""

from pathlib import Path

import numpy as np
import pytest
from aisle.edge_devices.profile import load_profile
from aisle.models.bundle import Bundle
from aisle.models.make.onnx_models import identity
from aisle.models.make.onnx_proto import node, tensor, value, write
from aisle.runtime.backends import make_backend
from aisle.runtime.backends.onnx_uses import lendable
from aisle.runtime.worker import Lending, fill_alone


def model(path: Path, nodes: list[bytes], outputs: list[bytes], dtype: str = "float32") -> Path:
    return write(path, "g", nodes, [value("a", dtype, ["n", 4]), value("b", dtype, ["n", 4])], outputs,
                 [tensor("flat", np.array([-1, 4], np.int64)), tensor("axis", np.array([1], np.int64))])


@pytest.mark.parametrize(("nodes", "found"), [
    ([node("Add", ["a", "b"], ["y"])], ["a", "b"]),
    ([node("Mul", ["a", "a"], ["y"])], ["a", "b"]),
    ([node("Relu", ["a"], ["r"]), node("MatMul", ["r", "b"], ["y"])], ["a", "b"]),
    ([node("NonZero", ["a"], ["y"])], ["b"]),
    ([node("Reshape", ["a", "flat"], ["r"]), node("NonZero", ["r"], ["y"])], ["b"]),
    ([node("Reshape", ["a", "flat"], ["r"]), node("Identity", ["r"], ["s"]), node("Add", ["s", "b"], ["y"])], ["a", "b"]),
    ([node("Clip", ["b", "a"], ["y"])], ["b"]),
    ([node("Gather", ["a", "b"], ["y"])], []),
    ([node("FusedConv", ["a", "b"], ["y"])], []),
])
def test_only_arithmetic_may_read_what_others_can_change(nodes: list[bytes], found: list[str], tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx", nodes, [value("y", "float32", ["n", 4])])
    assert lendable(path, ["a", "b"]) == found


def opened(tmp_path: Path, length: int = 64):
    (tmp_path / "m").mkdir()
    identity(tmp_path / "m" / "model.onnx", (length,), "float32")
    backend = make_backend("onnx")
    bundle = backend.describe(Bundle("m", "1", "model", tmp_path / "m", files={("onnx", "fp32"): "model.onnx"}))
    return backend.open(bundle, load_profile("cpu"))


def test_a_lent_input_gives_the_same_answer_from_wherever_it_lies(tmp_path: Path) -> None:
    session = opened(tmp_path)
    assert session.lendable == {"INPUT0"}
    rng = np.random.default_rng(1)
    for rows in (1, 3, 8, 1):
        for _ in range(3):
            given = rng.random((rows, 64), np.float32)
            session.rows(0, rows)["INPUT0"][...] = -1
            session.run_lent(rows, {"INPUT0": given})
            np.testing.assert_array_equal(session.rows(0, rows)["OUTPUT0"], given)
            assert (session.rows(0, rows)["INPUT0"] == -1).all(), "it was not copied"
    for _ in range(200):                                       # more places than are remembered
        given = rng.random((1, 64), np.float32).copy()
        session.run_lent(1, {"INPUT0": given})
        np.testing.assert_array_equal(session.rows(0, 1)["OUTPUT0"], given)
    assert len(session._lent) <= 64
    session.close()


def test_a_session_that_cannot_gets_a_copy(tmp_path: Path) -> None:
    session = opened(tmp_path)
    given, row = np.ones((1, 64), np.float32), session.rows(0, 1)
    fill = Lending({"INPUT0": given}, lambda row: None)
    assert fill_alone(fill, row, session) == {"INPUT0": given}
    session.lendable = frozenset()
    assert fill_alone(fill, row, session) is None and (row["INPUT0"] == 1).all()
    row["INPUT0"][...] = 0
    fill(row)
    assert (row["INPUT0"] == 1).all()
    session.close()
