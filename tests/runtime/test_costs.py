"""What a run will cost: quantiles of a moving window, sizes that were never seen."""

import numpy as np
from aisle.runtime.costs import ENOUGH, KEPT, Costs, Window
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.sampled_from([0, 5, 50, 95, 100]))
def test_the_window_is_the_quantile_of_the_last_values(values: list[int], percent: int) -> None:
    window = Window()
    for value in values:
        window.add(value)
    last = sorted(values[-KEPT:])
    assert window.quantile(percent) == last[min(len(last) - 1, len(last) * percent // 100)]


def test_nothing_is_known_before_enough_runs() -> None:
    costs = Costs()
    for _ in range(ENOUGH - 1):
        costs.add(1, 1000)
    assert costs.expect(1) == 0
    costs.add(1, 1000)
    assert costs.expect(1) == 1000


@given(st.dictionaries(st.integers(1, 32), st.integers(1, 10**6), min_size=1), st.integers(1, 64))
def test_a_size_that_was_not_seen_lies_between_its_neighbours(seen: dict[int, int], rows: int) -> None:
    costs = Costs()
    for size, ns in seen.items():
        for _ in range(ENOUGH):
            costs.add(size, ns)
    got = costs.expect(rows)
    if rows in seen:
        assert got == seen[rows]
    elif rows > max(seen):
        assert got == seen[max(seen)] * rows // max(seen)
    elif rows < min(seen):
        assert got == seen[min(seen)]
    else:
        low, high = max(s for s in seen if s < rows), min(s for s in seen if s > rows)
        assert seen[low] <= got <= max(seen[low], seen[high])


def test_a_machine_that_slows_down_is_noticed_within_the_window() -> None:
    costs = Costs()
    for ns in (*np.full(1000, 100), *np.full(KEPT // 16 + 1, 900)):
        costs.add(1, int(ns))
    assert costs.expect(1) == 900 and costs.expect(1, 50) == 100
