"""The drawn part: the same for the same seed, six kinds of defects that are where their mask says."""

import numpy as np
import pytest
from aisle.models.make.parts import DEFECTS, defective, good


def test_a_seed_always_draws_the_same_picture():
    assert np.array_equal(good(3), good(3))
    first, second = defective(3, "crack"), defective(3, "crack")
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])


def test_other_seeds_lie_and_look_different():
    a, b = good(3), good(4)
    assert a.shape == (480, 640, 3) and a.dtype == np.uint8
    assert np.abs(a.astype(int) - b).mean() > 2


def test_there_are_six_kinds():
    assert len(set(DEFECTS)) == 6


@pytest.mark.parametrize("kind", DEFECTS)
@pytest.mark.parametrize("seed", [1, 17, 40])
def test_the_mask_holds_the_change_and_the_rest_is_the_good_part(kind, seed):
    picture, mask = defective(seed, kind)
    assert mask.shape == (480, 640) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}
    assert 30 < np.count_nonzero(mask) < 0.05 * mask.size
    change = np.abs(picture.astype(int) - good(seed)).max(axis=2)
    assert change[mask > 0].mean() > 6
    assert change[mask > 0].mean() > 8 * change[mask == 0].mean()


def test_an_unknown_kind_is_a_sentence():
    with pytest.raises(ValueError, match=r"expected one of scratch, dent, .* got 'rust' - at `kind`"):
        defective(1, "rust")
