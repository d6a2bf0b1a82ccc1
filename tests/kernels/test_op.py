"""Which implementation runs is chosen once, can be forced, and says why."""

import types

import pytest
from aisle.kernels import choices
from aisle.kernels._op import Op, forced


@pytest.fixture
def op(monkeypatch: pytest.MonkeyPatch) -> Op:
    """An op that has not chosen yet, out of the table again after the test."""
    monkeypatch.setattr(Op, "table", {})
    monkeypatch.delenv("AISLE_KERNELS", raising=False)
    return Op("aisle.kernels.letterbox", "letterbox")


def test_the_fast_one_is_chosen_where_it_is_built(op: Op) -> None:
    choice = op.choice()
    assert (choice.op, choice.variant) == ("letterbox", "fast")
    assert choice.level in ("base", "avx2", "avx512", "neon") and "fastest" in choice.reason


@pytest.mark.parametrize("wish", ["reference", "fast"])
def test_the_environment_forces_one(op: Op, monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    monkeypatch.setenv("AISLE_KERNELS", wish)
    assert op.choice().variant == wish
    assert op.choice().reason == f"AISLE_KERNELS={wish} asks for it"


def test_a_name_that_does_not_exist_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_KERNELS", "quick")
    with pytest.raises(ValueError, match=r"expected one of reference, fast.*got 'quick' - at environment AISLE_KERNELS"):
        forced()


def test_an_empty_wish_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_KERNELS", "")
    assert forced() is None


def test_the_choice_is_made_once(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    first = op.choice()
    monkeypatch.setenv("AISLE_KERNELS", "reference")
    assert op.choice() is first


def test_without_the_compiled_module_the_reference_runs_and_says_so(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(op, "_fast", lambda: (None, "letterbox/fast is not built here; run `make setup`"))
    assert op.choice().variant == "reference"
    assert "make setup" in op.choice().reason


def test_a_forced_fast_that_is_not_built_is_refused(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_KERNELS", "fast")
    monkeypatch.setattr(op, "_fast", lambda: (None, "it is not built here"))
    with pytest.raises(RuntimeError, match="AISLE_KERNELS=fast asks for the compiled kernels, but it is not built"):
        op.choice()


def test_the_call_goes_to_the_chosen_function(op: Op, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(op, "_fast", lambda: (types.SimpleNamespace(letterbox=lambda a: a + 1, level=lambda: "base"), ""))
    assert op(41) == 42


def test_choices_name_every_imported_op() -> None:
    assert {"letterbox", "knn", "heatmap.smooth"} <= choices().keys()
