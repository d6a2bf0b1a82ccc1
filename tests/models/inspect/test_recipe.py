"""A recipe survives the disk, and a damaged one is refused in a sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.inspect.recipe import ARRAYS, REFERENCE, load, params
from aisle.models.inspect.score import examine, nearest
from aisle.models.inspect.teach import learn, teach


@pytest.fixture(scope="module")
def whole(good, tmp_path_factory):
    return teach("flange", [good(seed) for seed in range(3)], out_dir=tmp_path_factory.mktemp("models"), version="1")


@pytest.fixture
def bundle(whole, tmp_path):
    shutil.copytree(whole.root, tmp_path / "1")
    return replace(whole, root=tmp_path / "1")


def rewrite(bundle, **arrays) -> None:
    with np.load(bundle.path(ARRAYS)) as stored:
        kept = dict(stored)
    np.savez(bundle.path(ARRAYS), **(kept | arrays))


def test_all_numbers_come_back(bundle):
    recipe = load(bundle)
    assert params(recipe).items() <= bundle.params.items()
    assert recipe.grid == (recipe.work[0] // 8, recipe.work[1] // 8) and recipe.picture.shape == (120, 160, 3)


def test_the_bank_is_laid_out_when_it_is_loaded_and_never_stored(bundle):
    recipe = load(bundle)
    assert recipe.method == "neighbour" and "laid" in vars(recipe)
    with np.load(bundle.path(ARRAYS)) as stored:
        assert "laid" not in stored and stored["bank"].shape == recipe.bank.shape
    query = np.ascontiguousarray(recipe.bank[1][::-1])
    np.testing.assert_array_equal(nearest(query, recipe.laid, recipe.radius), nearest(query, recipe.bank, recipe.radius))


def test_a_bundle_from_before_pictures_could_be_decoded_smaller_wants_them_whole(bundle):
    old = {key: value for key, value in bundle.params.items() if key != "reduced"}
    recipe = load(replace(bundle, params=old))
    assert not recipe.reduced and recipe.takes((120, 160)) and not recipe.takes((60, 80))


def test_pictures_that_came_smaller_than_they_were_sent_keep_both_sizes(good):
    shown = [cv2.resize(good(seed), (320, 240)) for seed in range(4)]
    recipe = learn("flange", shown[:3], sent=(480, 640)).recipe
    assert recipe.reduced and recipe.size == (480, 640) and recipe.picture.shape == (240, 320, 3)
    assert examine(shown[3], recipe).score > 0
    for sent in ((480, 999), (2400, 3200), (120, 160)):
        with pytest.raises(BundleError, match=rf"pictures of {sent[1]} x {sent[0]} came at 320 x 240; expected them whole or"):
            learn("flange", shown[:3], sent=sent)


@pytest.mark.parametrize("key, value", [
    ("reduced", 1), ("reduced", "yes"),
    ("schema", 2), ("schema", None), ("method", "magic"), ("radius", 1.5), ("radius", -2), ("threshold", float("nan")),
    ("threshold", -1.0), ("threshold", True), ("unit", 0.0), ("work", [100, 100]), ("work", "96x128"), ("height", 0),
    ("height", 121), ("contrast", 1), ("gate", 2.0), ("promise_bound", 1.5), ("canary_score", float("inf")),
    ("backbone", {"input": "x"}), ("backbone", 7)])
def test_numbers_out_of_range_are_refused(bundle, key, value):
    with pytest.raises(BundleError, match="flange"):
        load(replace(bundle, params=bundle.params | {key: value}))


def test_damaged_arrays_are_refused(bundle):
    data = bundle.path(ARRAYS).read_bytes()
    for broken in (b"", b"no archive", data[:len(data) // 2], data[:-30]):
        bundle.path(ARRAYS).write_bytes(broken)
        with pytest.raises(BundleError, match="cannot be read"):
            load(bundle)
    bundle.path(ARRAYS).unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        load(bundle)


@pytest.mark.parametrize("name, change", [
    ("scale", lambda a: a * np.nan), ("offset", lambda a: a[:-1]), ("bank", lambda a: a.astype(np.int16)),
    ("bank", lambda a: a[:, :-1]), ("bank", lambda a: a[0]), ("reference", lambda a: a.T), ("projection", lambda a: a[:, :9])])
def test_arrays_of_another_shape_or_kind_are_refused(bundle, name, change):
    assert load(bundle).method == "neighbour"     # three parts are too few for anything else
    rewrite(bundle, **{name: change(getattr(load(bundle), name))})
    with pytest.raises(BundleError, match=f"`{name}`|`offset`"):
        load(bundle)


def test_a_pickle_is_never_opened(bundle):
    rewrite(bundle, scale=np.array([{"a": 1}], object))
    with pytest.raises(BundleError, match="cannot be read"):
        load(bundle)


def test_another_reference_picture_is_refused(bundle):
    for data in (b"", b"nothing"):
        bundle.path(REFERENCE).write_bytes(data)
        with pytest.raises(BundleError, match=REFERENCE):
            load(bundle)
