"""Letterbox and warp: known answers, agreement with OpenCV, and any picture, size and output alike in every variant."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from aisle.bench.kernels.catalogue import variants
from aisle.kernels import letterbox, placement, warp
from aisle.kernels._op import Op
from hypothesis import given, settings
from hypothesis import strategies as st

RNG = np.random.default_rng(7)


def each(op: str, call: Callable[..., Any], dtype: str, shape: tuple[int, ...], *arguments: Any,
         **named: Any) -> list[np.ndarray]:
    """What every variant writes, the reference first."""
    found, before = [], Op.table[op]._run
    try:
        for run in variants(op).values():
            Op.table[op]._run = run
            found.append(np.zeros(shape, dtype))
            call(*arguments, out=found[-1], **named)
    finally:
        Op.table[op]._run = before
    return found


def picture(h: int, w: int, pixels: str = "colour") -> np.ndarray:
    shape = {"colour": (h, w, 3), "gray": (h, w), "nv12": (h * 3 // 2, w), "yuyv": (h, w, 2)}[pixels]
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=60, deadline=None)
@given(h=st.integers(1, 40), w=st.integers(1, 90), oh=st.integers(1, 50), ow=st.integers(1, 70),
       pixels=st.sampled_from(["colour", "gray", "nv12", "yuyv"]),
       dtype=st.sampled_from(["float32", "float16", "int8", "uint8"]),
       layout=st.sampled_from(["CHW", "HWC"]), keep_aspect=st.booleans(), antialias=st.booleans(), swap=st.booleans(),
       pad=st.floats(0, 255), scale=st.floats(-0.5, 0.5), bias=st.floats(-20, 20), zero=st.integers(-20, 20))
def test_any_call_is_alike_in_every_variant(h: int, w: int, oh: int, ow: int, pixels: str, dtype: str, layout: str,
                                            zero: int, scale: float, bias: float, **named: Any) -> None:
    if pixels in ("nv12", "yuyv"):
        h, w = 2 * h, 2 * w
    shape = (3, oh, ow) if layout == "CHW" else (oh, ow, 3)
    named |= {"pixels": pixels, "layout": layout, "scale": (scale, -scale, 0.1), "bias": (bias, 0.0, -bias)}
    if dtype in ("int8", "uint8"):
        named |= {"step": 0.5, "zero": zero}
    want, *got = each("letterbox", letterbox, dtype, shape, picture(h, w, pixels), **named)
    bound = {"float32": 2e-3, "float16": 0.2, "int8": 1, "uint8": 1}[dtype]
    for found in got:
        assert np.abs(found.astype(np.float64) - want.astype(np.float64)).max() <= bound


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("step", [2.0, 1e-6])
def test_bytes_saturate_in_rows_of_whole_registers(dtype: str, keep_aspect: bool, step: float) -> None:
    """Rows of 16 pixels may be narrowed as they are made; values far beyond 32 bits still end at the type's ends."""
    image = picture(30, 45)
    for swap in (False, True):
        want, *got = each("letterbox", letterbox, dtype, (3, 64, 96), image, scale=(1.0, 30.0, -30.0),
                          bias=(0.0, -3000.0, 3000.0), step=step, swap=swap, keep_aspect=keep_aspect, pad=200.0)
        assert {np.iinfo(dtype).min, np.iinfo(dtype).max} <= set(np.unique(want).tolist())
        for found in got:
            assert np.abs(found.astype(int) - want.astype(int)).max() <= (1 if step == 2.0 else 255)
            assert np.mean(found != want) < 0.01


@settings(max_examples=60, deadline=None)
@given(h=st.integers(1, 30), w=st.integers(1, 30), oh=st.integers(1, 20), ow=st.integers(1, 20),
       numbers=st.lists(st.floats(-3, 3), min_size=6, max_size=6),
       bend=st.lists(st.floats(-0.01, 0.01), min_size=2, max_size=2))
def test_any_region_is_alike_in_every_variant(h: int, w: int, oh: int, ow: int, numbers: list[float],
                                              bend: list[float]) -> None:
    matrix = np.array([numbers[:3], numbers[3:], [*bend, 1.0]])
    want, *got = each("letterbox.warp", warp, "float32", (3, oh, ow), picture(h, w), matrix, pad=90.0)
    for found in got:
        assert np.abs(found - want).max() <= 5e-3


def test_a_picture_of_the_same_size_is_itself() -> None:
    image = picture(9, 20)
    for found in each("letterbox", letterbox, "float32", (3, 9, 20), image):
        np.testing.assert_array_equal(found, image.transpose(2, 0, 1))
    for found in each("letterbox", letterbox, "uint8", (9, 20, 3), image, layout="HWC", swap=True):
        np.testing.assert_array_equal(found, image[:, :, ::-1])
    for found in each("letterbox.warp", warp, "uint8", (9, 20, 3), image, np.eye(3), layout="HWC"):
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(("antialias", "how"), [(False, cv2.INTER_LINEAR), (True, cv2.INTER_AREA)])
def test_it_resizes_as_opencv_does(antialias: bool, how: int) -> None:
    image = picture(120, 160)
    want = cv2.resize(image, (48, 40), interpolation=how).transpose(2, 0, 1)
    for found in each("letterbox", letterbox, "float32", (3, 40, 48), image, keep_aspect=False, antialias=antialias):
        assert np.abs(found - want).max() <= 1.01     # OpenCV rounds


@pytest.mark.parametrize(("pixels", "code"), [("nv12", cv2.COLOR_YUV2BGR_NV12), ("yuyv", cv2.COLOR_YUV2BGR_YUYV)])
def test_camera_frames_have_opencv_s_colours(pixels: str, code: int) -> None:
    """Flat patches, where it does not matter how chroma is brought to size."""
    bgr = np.repeat(np.repeat(RNG.integers(0, 256, (3, 4, 3), dtype=np.uint8), 8, 0), 8, 1)
    i420 = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, u, v = i420[:768].reshape(24, 32), i420[768:960].reshape(12, 16), i420[960:].reshape(12, 16)
    frame = np.concatenate([luma, np.stack([u, v], 2).reshape(12, 32)])
    if pixels == "yuyv":
        chroma = np.stack([u, v], 2).repeat(2, axis=0).reshape(24, 32)
        frame = np.stack([luma, chroma], 2)
    want = cv2.cvtColor(np.ascontiguousarray(frame), code)[4::8, 4::8].transpose(2, 0, 1)
    for found in each("letterbox", letterbox, "float32", (3, 24, 32), np.ascontiguousarray(frame), pixels=pixels):
        assert np.abs(found[:, 4::8, 4::8] - want).max() <= 1.5


def test_the_pad_surrounds_the_picture_and_is_normalised_alike() -> None:
    where = placement(10, 20, 32, 32)
    assert where == (16, 32, 8, 0)
    for found in each("letterbox", letterbox, "float32", (3, 32, 32), np.full((10, 20, 3), 10, np.uint8), pad=100.0,
                      scale=(1.0, 2.0, 3.0), bias=(0.5, 0.0, 0.0)):
        np.testing.assert_allclose(found[:, 0, 0], [100.5, 200, 300])
        np.testing.assert_allclose(found[:, 16, 16], [10.5, 20, 30])


def test_whole_numbers_round_half_to_even_and_saturate() -> None:
    image = np.array([[[1, 3, 255]]], np.uint8)
    for found in each("letterbox", letterbox, "int8", (3, 1, 1), image, step=2.0, zero=10):
        assert found.ravel().tolist() == [10, 12, 127]     # 0.5 -> 0, 1.5 -> 2; 137.5 is too much


def test_halves_are_numpy_s() -> None:
    """Every value of a byte under factors that reach subnormals, ties and infinity."""
    image = np.arange(256, dtype=np.uint8).reshape(1, 256)
    for scale in (1.0, 1 / 3, 1e-6, 2.5e-8, 257.0, 300.0, -0.0099):
        for found in each("letterbox", letterbox, "float16", (1, 1, 256), image, pixels="gray", scale=(scale,) * 3):
            with np.errstate(over="ignore"):
                want = (np.arange(256, dtype=np.float32) * np.float32(scale)).astype(np.float16)
            np.testing.assert_array_equal(found.ravel(), want)


def test_a_turned_region_is_what_opencv_takes_out() -> None:
    image = cv2.GaussianBlur(picture(60, 80), (9, 9), 3)
    matrix = np.array([[0.9, -0.3, 15.0], [0.3, 0.9, 2.0], [0.001, 0.0005, 1.0]])
    want = cv2.warpPerspective(image, matrix, (40, 30), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    for found in each("letterbox.warp", warp, "float32", (30, 40, 3), image, matrix, layout="HWC"):
        assert np.abs(found - want)[2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize(("named", "sentence"), [
    ({"pixels": "hsv"}, "expected one of colour, gray, nv12, yuyv, got 'hsv' - at `pixels`"),
    ({"layout": "WHC"}, "expected CHW or HWC, got 'WHC' - at `layout`"),
    ({"scale": (1.0, 2.0)}, "expected 3 numbers, got 2 - at `scale`"),
    ({"bias": None}, "expected 3 numbers each"),
    ({"step": 0.0}, "expected a number from 1e-09 to 1e[+]09, got 0.0 - at `step`"),
    ({"pad": 256}, "at `pad`"),
    ({"pixels": "yuyv", "image": np.zeros((4, 3, 2), np.uint8)}, "expected an even width, got 3"),
    ({"pixels": "nv12", "image": np.zeros((4, 4), np.uint8)}, "expected rows in threes"),
    ({"image": np.zeros((40_000, 1, 3), np.uint8)}, "expected sides of at most 32768"),
    ({"out": np.zeros((1, 4, 4), np.float32)}, "expected float32 .3, H, W."),
    ({"out": np.zeros((3, 4, 4), np.int16)}, "expected float32 .3, H, W., got int16"),
])
def test_a_wrong_call_is_a_sentence(named: dict[str, Any], sentence: str) -> None:
    call = {"image": np.zeros((4, 4, 3), np.uint8), "out": np.zeros((3, 4, 4), np.float32)} | named
    with pytest.raises(ValueError, match=sentence):
        letterbox(call.pop("image"), **call)
