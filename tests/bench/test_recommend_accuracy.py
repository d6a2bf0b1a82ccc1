"""The bench of accuracy: what it takes as data, what its rows say, and that it runs where nothing can be trained."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from aisle.bench.recommend import accuracy, data, training
from aisle.bench.recommend.data import DataSet, data_sets
from aisle.bench.report import Options
from aisle.models.make.shoppers import shoppers
from aisle.models.recommend.interactions import arranged

IDS = tuple(f"item-{i}" for i in range(100))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data as one meets it: lines in a zip that the core filter thins, a table of something else, a broken archive."""
    (tmp_path / "recs").mkdir()
    shop = shoppers(IDS, [f"g{i % 5}" for i in range(100)], users=600)
    lines = [f"{u} {i}" for u, i in zip(shop.user, shop.item, strict=True)]
    with zipfile.ZipFile(tmp_path / "recs" / "some_shop.zip", "w") as archive:
        archive.writestr("LICENSE", "ours")
        archive.writestr("Shop.txt", "\n".join([*lines, "9999 1", "9999 2"]) + "\n")
    (tmp_path / "recs" / "query.csv").write_text("query_id,query\n1,shoe\n")
    (tmp_path / "recs" / "broken.zip").write_bytes(b"PK")
    return tmp_path


def test_data_is_found_whatever_it_is_called(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core, whole = data_sets(folder, False)
    assert (core.name, whole.name) == ("some-shop 5-core", "some-shop whole") and core.main and not whole.main
    assert len(core.data.user) < len(whole.data.user) and not core.beauty
    err = capsys.readouterr().err
    assert "query.csv" in err and "broken.zip" in err
    assert [one.name for one in data_sets(folder, True)] == ["some-shop 5-core"]
    assert [one.name for one in data_sets(None, True)] == ["made shop"]


def test_a_quick_run_takes_some_users_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "QUICK_EVENTS", 1500)
    (one,) = data_sets(folder, True)
    assert one.name.endswith("sample") and "QUICK" in one.made and len(one.data.users) < 580


def test_rows_without_pytorch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "trainer", lambda quick: ("", "no PyTorch here"))
    rows = {row.metric: row for row in accuracy.run(Options(data=folder, quick=True))}
    assert rows["HR@10 VSKNN"].value > rows["HR@10 popularity"].value > 0
    week = rows["HR@10 popularity of the last week"]
    assert week.value is None and "no times" in week.note
    assert rows["HR@10"].value is None and "no PyTorch here" in rows["HR@10"].note
    assert all("leave-one-out" in row.note and "seen items removed" in row.note for row in rows.values())


def test_goals_belong_to_beauty_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []

    def fitted(python: str, given: object, job: dict, *more: object) -> dict:
        asked.append(job)
        if job["what"] == "plain":
            return {"hit": 0.05, "ndcg": 0.03, "epochs": 3, "cpu_s": 9.0}
        seed = job["options"]["seed"]
        return {"no_refit_hit": 0.09, "no_refit_ndcg": 0.05 + seed / 1000, "hit": 0.11, "ndcg": 0.07, "cpu_s": 100.0,
                "refit_cpu_s": 150.0, "int8_hit": 0.11, "int8_ndcg": 0.0699}
    monkeypatch.setattr(training, "trainer", lambda quick: ("python", ""))
    monkeypatch.setattr(training, "run", fitted)
    monkeypatch.setattr(accuracy, "served", lambda case, bundle, wanted: case.row("served", wanted))
    one = next(data_sets(folder, False))
    monkeypatch.setattr(DataSet, "beauty", property(lambda self: True))
    rows = {row.metric: row for row in accuracy.rows(one, False)}
    assert [job["options"]["seed"] for job in asked if job["what"] == "ours"] == [1, 2, 3]
    assert rows["HR@10"].met is True and rows["HR@10"].goal == ">= 0.085"
    assert rows["NDCG@10"].value == pytest.approx(0.052) and rows["NDCG@10"].spread == pytest.approx(0.002)
    assert rows["NDCG@10 refit"].met is True and "refit on train + validation" in rows["NDCG@10 refit"].note
    assert rows["CPU seconds, train and refit"].value == 250 and rows["CPU seconds, train and refit"].met is True
    assert rows["NDCG@10 loss of int8 table and query"].value == pytest.approx(100 / 700) and rows["NDCG@10"].peer == "VSKNN"
    monkeypatch.setattr(DataSet, "beauty", property(lambda self: False))
    assert all(row.goal is None for row in accuracy.rows(one, False) if not row.metric.startswith("NDCG@10 loss"))


def test_the_last_week_is_that_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    day = 86400.0
    user, item = np.repeat(np.arange(3), 3), np.array([0, 1, 2, 3, 1, 2, 4, 0, 1])
    time = np.array([0, 50, 60, 1, 70, 80, 8, 90, 99]) * day
    one = DataSet("x", "made", arranged(("a", "b", "c"), tuple("01234"), user, item, time))
    case = accuracy._Case(one, accuracy.leave_one_out(one.data), "")
    assert accuracy.last_week(case)([np.array([0])])[0].tolist() == [0, 0, 0, 1, 1]


def test_a_fit_that_fails_is_a_sentence(tmp_path: Path) -> None:
    import sys
    shop = shoppers(IDS, ["g"] * 100, users=5)
    found = training.run(sys.executable, shop, {"what": "ours", "options": {"seed": "x"}, "refit": "no"}, tmp_path, "test")
    assert "the fit ended with 1" in found["error"]


def test_a_served_bundle_is_measured_with_its_int8_encoder(folder: Path) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    from aisle.models.make import shop_taste
    shop = shop_taste.visits(300)
    case = accuracy._Case(DataSet("x", "made", shop), accuracy.leave_one_out(shop), "")
    bundle = shop_taste.SHIPPED / shop_taste.NAME / "1"
    fitted = accuracy.load(bundle)
    assert fitted.ids == shop.items
    row = accuracy.served(case, bundle, 0.5)
    assert row.goal == "<= 0.5 %" and row.value is not None and -100 < row.value < 50


def test_the_worker_fits(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch (the extra `train`) is not installed")
    import sys
    shop = shoppers(IDS, [f"g{i % 5}" for i in range(100)], users=300)
    job = {"what": "ours", "options": {"seed": 1, "epochs": 2, "depth": 16}, "refit": "valid"}
    found = training.run(sys.executable, shop, job, tmp_path, "test", tmp_path / "bundle")
    assert 0 < found["int8_ndcg"] <= 1 and found["refit"] == "valid" and (tmp_path / "bundle" / "encoder.int8.onnx").is_file()
    json.dumps(found)
