"""Teaching: what it refuses, what it warns of, that it sees defects and that the same pictures make the same files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.models.bundle import BundleError
from aisle.models.inspect.recipe import load
from aisle.models.inspect.score import examine
from aisle.models.inspect.teach import learn, teach
from aisle.models.make import parts
from aisle.runtime.workloads.inspect import canary


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def bundle(good, tmp_path_factory):
    return teach("flange", [good(seed) for seed in range(5)], out_dir=tmp_path_factory.mktemp("models"), version="1")


def test_the_same_pictures_make_the_same_files(bundle, good, tmp_path):
    again = teach("flange", [good(seed) for seed in range(5)], out_dir=tmp_path, version="1")
    assert digests(again.root) == digests(bundle.root)


def test_what_was_written_judges_as_what_was_learned(bundle, good, bad):
    fresh, stored = learn("flange", [good(seed) for seed in range(5)]).recipe, load(bundle)
    for image in (good(900), bad(901, "crack"), bad(902, "stain")):
        assert examine(image, stored).score == examine(image, fresh).score


def test_most_defects_score_above_every_good_part(learned, good, bad):
    usual = [examine(good(seed), learned.recipe).score for seed in range(900, 912)]
    scores = {kind: examine(bad(950, kind), learned.recipe).score for kind in parts.DEFECTS}
    assert sum(score > np.quantile(usual, 0.9) for score in scores.values()) >= 5, scores


def test_a_region_lies_on_the_defect(learned):
    picture, mask = parts.defective(960, "contamination")
    seen = examine(cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA), learned.recipe)
    x, y, w, h = seen.regions[0].box
    assert mask[4 * y:4 * (y + h), 4 * x:4 * (x + w)].any()


def test_a_bad_part_among_the_good_ones_is_named(good, bad):
    shown = [good(seed) for seed in range(12)]
    shown[7] = bad(7, "missing_hole")
    names = [f"p{i}.png" for i in range(12)]
    warnings = learn("flange", shown, names=names).warnings
    assert any(w.startswith("picture p7.png looks unlike the others") for w in warnings), warnings
    assert sum("unlike" in w for w in warnings) == 1


def test_copies_are_named(good):
    shown = [good(0), good(1), good(2), good(1)]
    assert any("picture 4 is the same as 2" in w for w in learn("flange", shown).warnings)


def test_few_parts_are_warned_of(learned):
    assert any("only 8 different good parts" in w for w in learned.warnings)


def case(name: str, good) -> list[np.ndarray]:
    image = good(0)
    return {"none": [], "one": [image], "alike": [image] * 3, "sizes": [image, image[:100]], "small": [image[:31]] * 2,
            "grey": [image[..., 0]] * 2, "float": [image.astype(np.float32)] * 2, "blank": [image, np.zeros_like(image)]}[name]


@pytest.mark.parametrize("name, words", [
    ("none", "at least 2 pictures of good parts, got 0"), ("one", "got 1"), ("alike", "all 3 pictures are the same"),
    ("sizes", "picture 2 is 160 x 100 but 1 is 160 x 120"), ("small", "at least 32 px"), ("grey", "got uint8 (120, 160)"),
    ("float", "got float32"), ("blank", "picture 2 shows nothing")])
def test_what_cannot_be_taught_from_is_told_why_and_nothing_is_left(good, tmp_path, name, words):
    with pytest.raises(BundleError) as error:
        teach("flange", case(name, good), out_dir=tmp_path / "models", version="1")
    assert words in str(error.value)
    assert not list(tmp_path.rglob("*"))


def test_a_version_that_exists_is_not_overwritten(bundle, good):
    before = digests(bundle.root)
    with pytest.raises(BundleError, match="exists already"):
        teach("flange", [good(seed) for seed in range(20, 22)], out_dir=bundle.root.parent.parent, version="1")
    assert digests(bundle.root) == before and [p.name for p in bundle.root.parent.iterdir()] == ["1"]


def test_the_canary_passes_and_notices_a_recipe_that_scores_otherwise(bundle):
    recipe = load(bundle)
    canary(recipe)
    with pytest.raises(ValueError, match="scores its own reference picture"):
        canary(replace(recipe, unit=recipe.unit * 1.05))
    with pytest.raises(ValueError, match="scores its own reference picture"):
        canary(replace(recipe, scale=recipe.scale * 1.2))
