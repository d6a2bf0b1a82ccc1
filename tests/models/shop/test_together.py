"""What is looked at, and looked at together: counts that fade and stay bounded, and the scores that come of them."""

import numpy as np
import pytest
from aisle.models.shop import together
from aisle.models.shop.together import Together

ROWS = {f"i{i}": i for i in range(20)}


def visited(*visits: str) -> Together:
    made = Together()
    for visit in visits:
        before: list[str] = []
        for ident in visit.split():
            made.add(ident, before)
            before.append(ident)
    return made


def test_what_goes_together_counts_more_than_what_is_looked_at_often() -> None:
    made = visited("i1 i2", "i1 i2", "i1 i3", "i5", "i5", "i5", "i5", "i5")
    assert made.count("i1", "i2") == made.count("i2", "i1") == 2 and made.trend("i5") == 5
    scores = made.scores(ROWS, 20, ["i1"])
    assert scores.argmax() == 2 and 0 < scores[5] == scores[:20][[0, 4, 5, 6]].max() <= 0.01 < scores[3]


def test_rows_that_the_catalogue_does_not_have_yet_are_passed_over() -> None:
    made = visited("i1 i19 gone")
    assert made.scores(ROWS, 5, ["i1"]).tolist() == pytest.approx([0, 0.01, 0, 0, 0], rel=1e-4)


@pytest.mark.parametrize("many", [0, 100])
def test_of_many_items_trends_are_kept_for_a_moment(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MANY", many)
    made = visited("i1 i2", "i4")
    first = made.scores(ROWS, 20, ["i1"])
    np.testing.assert_array_equal(made.scores(ROWS, 20, ["i1"]), first, "a question leaves nothing behind")
    made.add("i7", [])
    assert (made.scores(ROWS, 20, [])[7] > 0) == (many == 100)
    assert len(made.scores(ROWS, 9, [])) == 9
    made.forget()
    assert not made.scores(ROWS, 20, ["i1"]).any()


def test_what_is_full_forgets_the_weakest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "MAX_ITEMS", 3)
    made = visited("i1", "i1", "i2 i3", "i3", "i4")
    assert made.trend("i1") == 2 and made.trend("i2") == 0 and made.trend("i4") == 1 and made.count("i3", "i2") <= 1
    assert len(made.seen) == 3
