"""The inspection bench: figures with known answers, sets in any container, rows where data is absent, an honest peer."""

from __future__ import annotations

import io
import tarfile
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.bench.inspection import aliens, deeppcb, kolektor, peer
from aisle.bench.inspection.archives import members
from aisle.bench.inspection.figures import aupro, auroc, coarse_mask, hits, pixel_auroc
from aisle.bench.report import Options
from aisle.models.inspect import select, teach
from aisle.models.inspect.score import judge, prepare
from aisle.models.make import parts


def test_auroc_counts_pairs_in_the_right_order_and_ties_half() -> None:
    assert auroc(np.array([1.0, 2.0]), np.array([3.0])) == 1
    assert auroc(np.array([1.0, 2.0]), np.array([2.0])) == 0.75
    assert auroc(np.array([1.0, 3.0]), np.array([2.0])) == 0.5


def test_localisation_figures_are_one_for_the_mask_itself_and_low_for_its_opposite() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:5, 3:9] = mask[12:18, 20:25] = True
    maps = [mask + np.linspace(0, 0.5, mask.size, dtype=np.float32).reshape(mask.shape)]
    assert pixel_auroc(maps, [mask]) == 1 and aupro(maps, [mask]) == pytest.approx(1)
    assert pixel_auroc([-maps[0]], [mask]) == 0 and aupro([-maps[0]], [mask]) == pytest.approx(0)


def test_each_fault_counts_alike_in_aupro_whatever_its_size() -> None:
    mask = np.zeros((20, 30), bool)
    mask[1:3, 1:3] = mask[8:18, 8:28] = True
    only_small = np.zeros((20, 30), np.float32)
    only_small[1:3, 1:3] = 1
    assert aupro([only_small], [mask]) == pytest.approx(0.5, abs=0.02)


def test_a_thin_fault_stays_in_the_coarse_mask() -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[5] = 1
    assert coarse_mask(mask).tolist() == [[False] * 4, [True] * 4, [False] * 4, [False] * 4]


def test_hits_count_boxes_and_false_regions() -> None:
    assert hits([(0, 0, 10, 10), (50, 50, 5, 5)], [(8, 8, 4, 4), (80, 80, 3, 3), (10, 0, 5, 5)]) == (1, 2)


def test_members_come_out_of_zips_tars_and_folders_alike(tmp_path: Path) -> None:
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "a.png").write_bytes(b"a")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("zipped/b.png", b"b")
        archive.writestr("zipped/b.txt", b"no")
    with tarfile.open(tmp_path / "y.tar.xz", "w:xz") as tar:
        entry = tarfile.TarInfo("tarred/c.png")
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"c"))
    found = members(tmp_path, lambda name: name.endswith(".png"))
    assert found == {"loose/a.png": b"a", "tarred/c.png": b"c", "zipped/b.png": b"b"}


@pytest.mark.parametrize("case, count", [(aliens, 2), (kolektor, 1), (deeppcb, 1)])
def test_absent_data_gives_a_row_that_says_what_to_do(tmp_path: Path, case, count) -> None:
    for options in (Options(), Options(data=tmp_path)):
        rows = list(case.run(options))
        assert len(rows) == count
        assert all(row.value is None and row.met is None and "--data" in row.note for row in rows)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Teaching on a coarse grid with few spoiled pictures: ten times as fast, the same code."""
    monkeypatch.setattr(teach, "CELLS", 256)
    monkeypatch.setattr(select, "SPOILED", 12)


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def test_a_set_of_another_size_in_the_same_layout_is_measured(tmp_path: Path, coarse) -> None:
    folder = tmp_path / "inspection" / "kolektorsdd_part"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "other_name.zip", "w") as archive:
        for item in range(6):
            for part in range(2):
                bad = part == 1 and item % 2 == 0
                seed = 10 * item + part
                picture, mask = parts.defective(seed, "stain") if bad else (parts.good(seed), np.zeros((480, 640), np.uint8))
                archive.writestr(f"item{item}/Part{part}.jpg", jpeg(picture[::4, ::4][:118 + seed % 3]))
                archive.writestr(f"item{item}/Part{part}_label.png", cv2.imencode(".png", mask[::4, ::4])[1].tobytes())
    rows = {row.metric: row.value for row in kolektor.run(Options(data=tmp_path, quick=True))}
    assert rows["image AUROC, mean"] > 0.5 and 0 <= rows["AUPRO"] <= 1


def test_the_peer_computes_the_same_score_by_every_measure(coarse) -> None:
    learned = teach.learn("peer", [parts.good(seed)[::4, ::4] for seed in range(6)])
    picture = np.ascontiguousarray(parts.defective(700, "dent")[0][::4, ::4])
    for one in learned.judged:
        fit = {field.name: getattr(one.fit, field.name) for field in fields(one.fit)}
        recipe = replace(learned.recipe, contrast=one.contrast, unit=one.unit, **fit)
        prepared = prepare(picture, recipe)
        score, _ = peer.postprocess(peer.model(prepared.picture, recipe, peer.Bank.of(recipe)), recipe)
        assert score == pytest.approx(judge(prepared, recipe).score, rel=0.01)


def test_boxes_are_read_as_the_set_writes_them() -> None:
    assert deeppcb.boxes(b"1 2 11 22 3\n\n5,6,7,9,1\n") == [(1, 2, 10, 20), (5, 6, 2, 3)]
