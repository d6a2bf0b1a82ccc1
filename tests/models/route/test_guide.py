"""Lines and instructions of ways."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from aisle.models.make.blocks_map import blocks
from aisle.models.route.assemble import assemble
from aisle.models.route.guide import CODES, line, steps
from aisle.models.route.network import with_topology
from aisle.models.route.router import Router


def bent() -> Router:
    """One street of three edges whose middle one has inner points: (0,0) - (10,0) - [(10,5), (20,5)] - (20,0) - (30,0)."""
    tail, head = np.array([0, 1, 1, 2, 2, 3]), np.array([1, 0, 2, 1, 3, 2])
    first = np.array([0, 0, 0, 2, 4, 4, 4])
    shape_x, shape_y = np.array([10.0, 20, 20, 10]), np.array([5.0, 5, 5, 5])
    length = np.array([100, 100, 200, 200, 100, 100])
    return Router(with_topology(assemble(np.array([0.0, 10, 20, 30]), np.zeros(4), tail, head, length * 100, length,
                                         shapes=(first, shape_x, shape_y), frame="plane")))


def test_a_line_has_every_point_and_is_cut_at_its_ends() -> None:
    router = bent()
    whole = line(router.network, router.route(0, 3))
    assert whole.tolist() == [[0, 0], [10, 0], [10, 5], [20, 5], [20, 0], [30, 0]]
    source, target = router.nearest(0, 4), router.nearest(0, 26)
    part = line(router.network, router.route(source, target))
    assert part[0].tolist() == [4, 0] and part[-1].tolist() == pytest.approx([26, 0]) and len(part) == 6
    within = line(router.network, router.route(router.nearest(5.1, 12), router.nearest(5.1, 18)))
    assert within.tolist() == [pytest.approx([12, 5]), pytest.approx([18, 5])]


def test_a_way_of_no_length_is_two_equal_points() -> None:
    router = bent()
    assert line(router.network, router.route(2, 2)).tolist() == [[20, 0], [20, 0]]
    assert [s.code for s in steps(router.network, router.route(2, 2))] == ["arrive"]


def test_instructions_name_turns_streets_and_lengths() -> None:
    router = Router(blocks(5, 5))
    way = router.route(0, 24)
    told = steps(router.network, way)
    assert told[0].code == "depart" and told[-1].code == "arrive" and {s.code for s in told} <= set(CODES)
    assert sum(s.length_m for s in told) == pytest.approx(way.length_m)
    for before, after in pairwise(told[:-1]):
        assert (after.code == "left") == (before.name.startswith("Row")) and after.code in ("left", "right")
    assert told[0].heading in (0, 90)


def test_a_bend_without_a_choice_is_not_told() -> None:
    router = bent()
    assert [s.code for s in steps(router.network, router.route(0, 3))] == ["depart", "arrive"]
