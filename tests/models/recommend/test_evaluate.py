"""The protocol: ties count against us, seen items are out, a perfect model reaches 1 and a constant one 0."""

import numpy as np
import pytest
from aisle.models.recommend.evaluate import TOP, Split, leave_one_out, measure, of_ranks, rank
from aisle.models.recommend.interactions import arranged
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays


def plain_rank(scores: np.ndarray, history: np.ndarray, target: int) -> int:
    """The rank, written as one says it."""
    if target in history:
        return len(scores)
    unseen = set(range(len(scores))) - set(history.tolist()) - {target}
    return sum(bool(scores[i] >= scores[target]) for i in unseen)


@given(st.data())
def test_the_rank_counts_unseen_items_that_score_at_least_as_much(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 12))
    scores = data.draw(arrays.arrays(np.float32, (3, n), elements=st.sampled_from([0.0, 0.5, 1.0, -1.0])))
    histories = [np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=9)), np.int64) for _ in range(3)]
    targets = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=3, max_size=3)))
    got = rank(scores, histories, targets)
    assert got.tolist() == [plain_rank(s, h, t) for s, h, t in zip(scores, histories, targets, strict=True)]


def split(users: int = 300, items: int = 40) -> Split:
    rng = np.random.default_rng(5)
    sequences = [rng.permutation(items)[:rng.integers(1, 9)] for _ in range(users)]
    user = np.repeat(np.arange(users), [len(s) for s in sequences])
    return leave_one_out(arranged(tuple(map(str, range(users))), tuple(map(str, range(items))), user,
                                  np.concatenate(sequences), None))


def test_the_split_hides_the_last_two() -> None:
    one = leave_one_out(arranged(("a", "b", "c"), tuple("0123"), np.array([0, 0, 0, 0, 1, 1, 2, 2, 2]),
                                 np.array([0, 1, 2, 3, 0, 1, 3, 2, 1]), None))
    assert one.users.tolist() == [0, 2] and one.valid.tolist() == [2, 2] and one.test.tolist() == [3, 1]
    assert [s.tolist() for s in one.train] == [[0, 1], [0, 1], [3]]
    assert [s.tolist() for s in one.before("valid")] == [[0, 1], [3]]
    assert [s.tolist() for s in one.before("test")] == [[0, 1, 2], [3, 2]]
    assert [s.tolist() for s in one.refit()] == [[0, 1, 2], [0, 1], [3, 2]]


def test_a_perfect_model_reaches_one_and_a_constant_one_nothing() -> None:
    one = split()
    wanted = iter(one.test)
    perfect = measure(lambda some: np.stack([np.arange(one.items) == next(wanted) for _ in some]).astype(np.float32),
                      one.before("test"), one.test)
    assert perfect.hit == perfect.ndcg == 1
    same = measure(lambda some: np.zeros((len(some), one.items), np.float32), one.before("test"), one.test)
    assert same.hit == same.ndcg == 0
    broken = measure(lambda some: np.full((len(some), one.items), np.nan, np.float32), one.before("test"), one.test)
    assert broken.hit == 0, "scores that are no numbers are no hits"


def test_seen_items_do_not_stand_in_the_way() -> None:
    scores = np.arange(20, dtype=np.float32)[None]
    assert rank(scores, [np.arange(6, 20)], np.array([5]))[0] == 0
    assert rank(scores, [np.arange(7, 20)], np.array([5]))[0] == 1
    assert rank(scores, [np.array([5])], np.array([5]))[0] == 20, "what was seen is not shown, so it cannot be hit"


def test_figures_of_ranks() -> None:
    found = of_ranks(np.array([0, 1, TOP - 1, TOP]))
    assert found.hit == 0.75 and found.ndcg == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4)
    assert of_ranks(np.empty(0, np.int64)).hit == 0
