"""Leave-one-out scores are honest, and differences that only a file format makes do not count."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
from aisle.models.inspect.conformal import promise
from aisle.models.inspect.features import GABOR, LEAST
from aisle.models.inspect.fit import gauss, left_out, neighbour, spread
from aisle.models.inspect.score import appearance, codes, examine, nearest, whitened
from aisle.models.inspect.select import score_of


@pytest.fixture(scope="module")
def features(good) -> np.ndarray:
    """Of 30 good parts as they lie: float32 (30, 15, 20, 27)."""
    return np.stack([appearance(good(seed), False) for seed in range(30)])


def test_left_out_distances_are_those_of_a_memory_without_the_part(features):
    fit = neighbour(features[:6], 1)
    for part, measure in enumerate(left_out(fit, features[:6])):
        query = codes(features[part], fit.offset, fit.scale, fit.projection)
        np.testing.assert_array_equal(measure(features[part]), nearest(query, np.delete(fit.bank, part, axis=0), 1))
        assert measure(features[part]).mean() > 0
        assert nearest(query, fit.bank, 1).max() == 0      # with itself in memory, which would promise nothing


def test_left_out_moments_are_those_of_the_other_parts(features):
    fit = gauss(features[:8])
    scaled = (features[:8] - fit.offset) / fit.scale
    for part, measure in enumerate(left_out(fit, features[:8])):
        inside = whitened(scaled[part], fit.mean, fit.whiten)
        assert measure(features[part]).mean() > 1.05 * inside.mean()


def test_stations_resampled_from_real_scores_keep_the_average_promise(features):
    """Ten of thirty parts are shown, the others judged; the mean over draws must be near 1 / 11."""
    shares = []
    for seed in range(40):
        order = np.random.default_rng(seed).permutation(len(features))
        shown, others = features[order[:10]], features[order[10:]]
        fit = neighbour(shown, 1, LEAST)
        line = promise([score_of(m(x), 1.0) for m, x in zip(left_out(fit, shown), shown, strict=True)], 0.05)
        scores = [score_of(nearest(codes(x, fit.offset, fit.scale, fit.projection), fit.bank, 1), 1.0) for x in others]
        shares.append(np.mean(np.array(scores) > line.threshold))
    assert np.mean(shares) == pytest.approx(1 / 11, abs=0.045)


def test_a_grey_part_has_colour_scales_no_finer_than_files_keep(features):
    _, scale = spread(features, LEAST)
    assert (scale >= LEAST).all() and scale[GABOR + 1] == scale[GABOR + 2] == 2
    assert (spread(features)[1][GABOR + 1:] < 2).all()


@pytest.mark.parametrize("suffix, option", [(".jpg", cv2.IMWRITE_JPEG_QUALITY), (".webp", cv2.IMWRITE_WEBP_QUALITY)])
def test_lossy_files_of_good_quality_score_like_lossless_ones(learned, good, suffix, option):
    for one in learned.judged[:2]:
        fit = {field.name: getattr(one.fit, field.name) for field in fields(one.fit)}
        recipe = replace(learned.recipe, contrast=False, unit=one.unit, **fit)
        grown = []
        for seed in range(500, 504):
            image = good(seed)
            coded = cv2.imdecode(cv2.imencode(suffix, image, [option, 97])[1], cv2.IMREAD_COLOR)
            grown.append(examine(coded, recipe).score / examine(image, recipe).score)
        assert np.mean(grown) == pytest.approx(1, abs=0.08), one.name
