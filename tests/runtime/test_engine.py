"""What an engine says of a role it has not."""

import pytest
from aisle.runtime.engine import Engine, Pool
from aisle.runtime.errors import Failed


async def test_an_unbound_role_is_a_sentence() -> None:
    pool = Pool(1)
    with pytest.raises(Failed, match="no model is bound to the role 'surface'"):
        await Engine(None, {}, pool).infer("surface", lambda row: None, lambda row: None)
    pool.close()
