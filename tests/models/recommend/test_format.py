"""A fitted recommender on disk: it comes back as it was, and whatever does not fit is named in a sentence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.recommend import format
from aisle.models.recommend.format import Fitted


def made(n: int = 6, d: int = 4, k: int = 2, b: int = 8) -> Fitted:
    rng = np.random.default_rng(3)
    near = np.stack([(np.arange(n) + 1) % n, np.full(n, -1)], 1).astype(np.int32)[:, :k]
    return Fitted(tuple(f"item {i}" for i in range(n)), rng.standard_normal((n, d), np.float32), np.arange(n, dtype=np.uint32),
                  rng.random(n, np.float32), near, np.ones((n, k), np.uint32), np.full((n, k), 0.5, np.float32),
                  rng.standard_normal((b, d), np.float32), length=3, ages=(1.0, 0.5), report={"seed": 1})


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    bundle = format.save(made(), {"fp32": b"one", "int8": b"two"}, tmp_path / "b", "shop")
    back = format.load(tmp_path / "b")
    assert back.ids == made().ids and back.report == {"seed": 1} and back.ages == (1.0, 0.5)
    assert all(np.array_equal(getattr(back, stem), getattr(made(), stem)) for stem in format.ARRAYS)
    assert bundle.files["onnx", "int8"] == "encoder.int8.onnx" and bundle.inputs[0].shape == (3, 4)
    assert not back.vectors.flags.writeable


@pytest.mark.parametrize(("change", "says"), [
    ({"ids": ("a", "a", "b", "c", "d", "e")}, "is there twice, at rows 0 and 1"),
    ({"ids": ("a", "b\n", "c", "d", "e", "f")}, "printable"),
    ({"ids": ("a",)}, "belong to different fits"),
    ({"vectors": np.zeros((6, 4))}, "expected float32"),
    ({"vectors": np.full((6, 4), np.nan, np.float32)}, "not finite - at `vectors`"),
    ({"near": np.full((6, 2), 6, np.int32)}, "expected rows from -1 to 5"),
    ({"near_weight": np.full((6, 2), -1, np.float32)}, "below zero"),
    ({"ages": (1.0,) * 4}, "no more ages than events"),
    ({"length": 0}, "1 to 4096"),
])
def test_what_does_not_fit_is_refused_before_it_is_written(tmp_path: Path, change: dict, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        format.save(replace(made(), **change), {}, tmp_path / "b", "shop")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(("file", "content", "says"), [
    ("vectors.npy", b"broken", "cannot read .*vectors.npy"),
    ("ids.txt", b"\xff\xfe", "cannot read .*ids.txt"),
    ("ids.txt", b"a\nb\n", "belong to different fits"),
    ("bundle.toml", b'name = "a"\nversion = "1"\nrole = "map"\n', "role 'map'"),
    ("bundle.toml", b'name = "a"\nversion = "1"\nrole = "recommend"\n[params]\nformat = 1\n', "params.length"),
])
def test_a_damaged_bundle_is_named(tmp_path: Path, file: str, content: bytes, says: str) -> None:
    format.save(made(), {}, tmp_path, "shop")
    (tmp_path / file).write_bytes(content)
    with pytest.raises(BundleError, match=says):
        format.load(tmp_path)


def test_a_lacking_file_is_named(tmp_path: Path) -> None:
    format.save(made(), {}, tmp_path, "shop")
    (tmp_path / "near.npy").unlink()
    with pytest.raises(BundleError, match=r"near\.npy"):
        format.load(tmp_path)


def test_history_keeps_the_newest_at_the_end() -> None:
    one = made()
    assert np.array_equal(format.history(one, one.vectors[:5]), one.vectors[2:5])
    short = format.history(one, one.vectors[:1])
    assert not short[:2].any() and np.array_equal(short[2], one.vectors[0])
    assert not format.history(one, one.vectors[:0]).any()
    with pytest.raises(ValueError, match="expected events"):
        format.history(one, np.zeros((2, 5), np.float32))


def test_a_bonus_fades_with_age_and_adds_up() -> None:
    one = made()
    rows, weight = format.bonus(one, [3, 0, 2, 0])          # newest first: 0 (age 0), 2 (age 1)
    assert rows.tolist() == [1, 3] and weight.tolist() == [0.5, 0.25]
    rows, weight = format.bonus(one, [2, 2])
    assert rows.tolist() == [3] and weight.tolist() == [0.75]
    assert len(format.bonus(one, [])[0]) == len(format.bonus(one, [-1, -1])[0]) == 0
    assert format.bonus(one, [0, -1])[1].tolist() == [0.25], "an event without a row still takes its place"


def test_cold_items_lie_where_their_words_lie() -> None:
    one = made()
    same, other, nothing = format.cold(one, ["Red shoe", "red  SHOE!", "..."])
    assert np.array_equal(same, other) and same.any() and not nothing.any()
    assert np.linalg.norm(format.cold(replace(one, unit=True), ["red shoe"])[0]) == pytest.approx(1)
    assert not format.cold(replace(one, words=np.zeros((0, 4), np.float32)), ["red shoe"]).any()


def test_codes_are_near_the_vectors() -> None:
    vectors = np.vstack([made().vectors, np.zeros((1, 4), np.float32)])
    codes, scale = format.quantised(vectors)
    assert codes.dtype == np.int8 and scale[-1] == 0
    assert (np.abs(codes * scale[:, None] - vectors) <= scale[:, None] / 2 + 1e-7).all()
