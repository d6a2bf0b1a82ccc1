"""Fixtured parts photographed by others: thirty good ones are shown, and damaged ones must stand out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from aisle.bench.inspection import aliens
from aisle.bench.inspection.station import trial
from aisle.bench.report import Options
from aisle.models.inspect import select, teach

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.skipif(not (DATA / "inspection" / "aliens").is_dir(), reason="no pictures: ../shared/data or $AISLE_DATA")
def test_damaged_figures_stand_out_after_thirty_good_ones(monkeypatch):
    monkeypatch.setattr(teach, "CELLS", 1024)
    monkeypatch.setattr(select, "SPOILED", 30)
    good, bad = aliens.pictures(Options(data=DATA))
    done = trial(good[:30], good[30:], bad[::2])
    assert done.auroc >= 0.97
    assert (done.scores(done.good) > 1).mean() <= 0.2
