"""What an engine says of a role it has not."""

import pytest
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
