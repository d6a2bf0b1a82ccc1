"""On real interactions, where they are at hand: the data set is the known one, and the baselines stand in the known order."""

import os
from pathlib import Path

import numpy as np
import pytest
from aisle.models.recommend import baselines
from aisle.models.recommend.evaluate import leave_one_out, measure
from aisle.models.recommend.interactions import core
from aisle.models.recommend.read import read

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[4] / "shared" / "data"))
FILE = DATA / "recs" / "amazon_video_games.zip"


@pytest.mark.skipif(not FILE.is_file(), reason="no interactions: ../shared/data or $AISLE_DATA")
def test_video_games() -> None:
    whole = read(FILE)
    assert (len(whole.user), len(whole.users), len(whole.items), whole.told) == (287_107, 31_013, 23_715, ())
    data = core(whole)
    assert (len(data.user), len(data.users), len(data.items)) == (231_780, 24_303, 10_672)     # the published 5-core
    split = leave_one_out(data)
    some = np.arange(0, len(split.users), 20)
    before = split.before("test")
    found = [measure(make(split.train, split.items), [before[u] for u in some], split.test[some]).ndcg
             for make in (baselines.popularity, baselines.item_knn, baselines.vsknn)]
    assert found == sorted(found) and 0.005 < found[0] < 0.012 and 0.055 < found[2] < 0.075
