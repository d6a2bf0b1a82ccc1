"""The recommender that is shipped for the made-up shop: whole, small, and of this shop."""

from pathlib import Path

import numpy as np
import pytest
from aisle.models.bundle import verify
from aisle.models.bundle_file import read_bundle
from aisle.models.make import shop_taste
from aisle.models.make.shop import items
from aisle.models.recommend import format
from aisle.models.recommend.encoder import INPUT

FOLDER = shop_taste.SHIPPED / shop_taste.NAME / "1"


def test_it_is_whole_small_and_of_this_shop() -> None:
    verify(read_bundle(FOLDER))
    fitted = format.load(FOLDER)
    assert set(fitted.ids) == {one.id for one in items()}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000
    assert fitted.report["data_sha256"] == shop_taste.visits().digest(), "the shop changed: run models/make/shop_taste.py"


def test_it_stays_in_the_category_that_was_looked_at() -> None:
    ort = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    fitted = format.load(FOLDER)
    category = {one.id: one.category for one in items()}
    rows = [row for row, one in enumerate(fitted.ids) if category[one] == "Shoes/Boots"][:3]
    given = format.history(fitted, fitted.vectors[rows])[None]
    for precision in ("fp32", "int8"):
        session = ort.InferenceSession(FOLDER / format.ENCODERS[precision], providers=["CPUExecutionProvider"])
        scores = fitted.vectors @ session.run(None, {INPUT: given})[0][0]
        best = [category[fitted.ids[row]] for row in np.argsort(-scores)[:8]]
        assert best.count("Shoes/Boots") >= 5, best


def test_it_can_be_made_again(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    made = shop_taste.make(tmp_path)
    again, shipped = format.load(made.root), format.load(FOLDER)
    assert again.ids == shipped.ids and np.array_equal(again.seen, shipped.seen)
    assert np.abs(again.vectors - shipped.vectors).mean() < 0.2      # another processor sums in another order
