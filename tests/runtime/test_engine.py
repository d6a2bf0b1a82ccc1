"""What an engine says of a role it has not."""

import pytest
from aisle.runtime.answered import named, noting
from aisle.runtime.engine import Engine, Pool
from aisle.runtime.errors import Failed, NotFound


async def test_an_unbound_role_is_a_sentence() -> None:
    pool = Pool(1)
    with pytest.raises(Failed, match="no model is bound to the role 'surface'"):
        await Engine(None, {}, pool).infer("surface", lambda row: None, lambda row: None)
    pool.close()


async def test_an_engine_finds_other_stations_or_says_that_there_are_none() -> None:
    pool = Pool(1)
    alone = Engine(None, {}, pool)
    with pytest.raises(NotFound, match="no station for recommend"):
        alone.station("recommend")
    found = Engine("asset", {}, pool, lambda job, name: alone if (job, name) == ("recommend", "corner") else None)
    assert found.station("recommend", "corner") is alone and found.roles == ()
    pool.close()


async def test_a_cheap_idle_model_runs_on_the_spot_and_sees_one_row() -> None:
    pool, ran = Pool(1), []

    class Cheap:
        ready_now = True
        session = NullSession()
        way = "null fp32"

        def ready_within(self, most_us):
            return most_us >= 100

        def run_now(self, fill, read, rows=None):
            ran.append(rows)
            fill("row")
            return read("row"), (0, 0, 0, 0)

        async def call(self, fill, read, **how):
            ran.append(how)
            return "queued"

    engine = Engine(None, {"backbone": Cheap()}, pool)
    filled = []
    with noting() as variants:
        assert await engine.infer("backbone", filled.append, lambda row: row + " read") == "row read"
    assert named(variants) == "null fp32"
    assert await engine.infer("backbone", filled.append, str, timeout_us=5) == "queued", "a deadline is for the queue to keep"
    assert ran == [None, {"timeout_us": 5, "priority": 0}] and filled == ["row"]
    Cheap.ready_now = False
    assert await engine.infer("backbone", filled.append, str, at_once_us=50) == "queued"
    assert await engine.infer("backbone", filled.append, str) == "queued"
    assert await engine.infer("backbone", filled.append, str, at_once_us=200) == "row"
    pool.close()


class NullSession:
    """As much of a session as the engine asks for."""

    inputs = outputs = ()
    capacity = 1

    def row(self, i): ...
    def rows(self, i, n): ...
    def run(self, n): ...
    def close(self): ...
