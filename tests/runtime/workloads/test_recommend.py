"""Where a list is made: on the event loop while it is short work, on the pool where caps make it long."""

from pathlib import Path
from typing import Any

import pytest
from aisle.models.shop.item import Item
from aisle.models.shop.make import make_shop
from aisle.models.shop.rules import Rules
from aisle.runtime.workloads import recommend, search
from aisle.runtime.workloads.recommend_asks import AskItems


class Engine:
    """As much of an engine as a shop without a network asks for."""

    updates = True
    roles = ()

    def __init__(self, asset: recommend.Asset) -> None:
        self.asset, self.offloaded = asset, 0

    def station(self, job: str, name: str = "") -> Any:
        raise search.NotFound("no encoder here")

    async def offload(self, fn: Any, *args: Any) -> Any:
        self.offloaded += 1
        return fn(*args)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    goods = [Item(f"i{i}", f"Tea {i}", brand=f"b{i % 3}", price=5.0) for i in range(30)]
    return Engine(recommend.load(make_shop(goods, tmp_path / "corner", "corner")))


@pytest.mark.parametrize(("rules", "count", "long"), [
    (Rules(per_brand=1), 10, False), (Rules(window=1000), 100, False), (Rules(per_brand=1), 100, True)])
async def test_a_choice_that_may_take_long_leaves_the_event_loop(engine: Engine, rules: Rules, count: int, long: bool) -> None:
    verdict = await recommend.run(recommend.Request(AskItems(count=count, rules=rules)), engine)
    assert engine.offloaded == long and len(verdict.found.shown) == (3 if rules.per_brand else 30)
    engine.offloaded = 0
    found = await recommend.run(search.Request("tea", count=count, rules=rules, meaning=False), engine)
    assert engine.offloaded == long and len(found.hits) == (3 if rules.per_brand else 30)
