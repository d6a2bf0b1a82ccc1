"""Pictures from bytes: every turn and reduction shows what a whole decode shows, and nothing hostile is decoded."""

import os
import struct
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from aisle.runtime.errors import Invalid, TooLarge
from aisle.runtime.picture_headers import PictureSize, passes, size_of
from aisle.runtime.pictures import PictureError, PictureLimits, PictureTooLarge, decode, encode_png, read
from hypothesis import given, settings
from hypothesis import strategies as st

DATA = Path(os.environ.get("AISLE_DATA", Path(__file__).parents[3] / "shared" / "data"))
ARCHIVES = sorted((DATA / "images_odd").glob("*.zip"))
HEIGHT, WIDTH = 208, 312     # a decoder's blocks begin at the stored corner: at other sizes a turn moves them


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A picture in which every corner is another one."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = (255 * x / width, 255 * y / height, 127 + 100 * np.sin(x / 17) * np.cos(y / 23))
    return cv2.merge([plane.astype(np.uint8) for plane in planes])


def jpeg(image: np.ndarray, *options: int) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1])


def exif(orientation: int, order: str = "<") -> bytes:
    """An APP1 segment that says so, with a longer entry before."""
    tiff = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", 2)
    tiff += struct.pack(f"{order}HHII", 0x010F, 2, 4, 0) + struct.pack(f"{order}HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + tiff + struct.pack(f"{order}I", 0)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def turned(data: bytes, *segments: bytes) -> bytes:
    """The same JPEG with segments right behind its start."""
    return data[:2] + b"".join(segments) + data[2:]


def shrunk(image: np.ndarray, reduction: int) -> np.ndarray:
    """Area means of reduction x reduction pixels."""
    return cv2.resize(image, (WIDTH // reduction, HEIGHT // reduction)[::1 if image.shape[0] == HEIGHT else -1],
                      interpolation=cv2.INTER_AREA)


def wanted(reduction: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """A size that is covered by this reduction and by none beyond."""
    return None if reduction == 1 else (size[0] // reduction, size[1] // reduction)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_every_turn_at_every_reduction_shows_what_the_whole_picture_shows(reduction: int, orientation: int, order: str) -> None:
    data = turned(jpeg(scene()), exif(orientation, order))
    upright = size_of(data).upright
    assert upright == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))
    whole, small = decode(data), read(data, cover=wanted(reduction, upright))
    assert (small.size, small.reduction) == (upright, reduction) and whole.shape[:2] == upright
    assert small.image.shape == (-(-upright[0] // reduction), -(-upright[1] // reduction), 3)
    assert small.image.flags.c_contiguous
    apart = np.abs(small.image.astype(int) - shrunk(whole, reduction))
    assert apart.max() <= 12 and apart.mean() < 1.5, (apart.max(), apart.mean())


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sides_that_are_no_multiples_are_rounded_up(orientation: int) -> None:
    data = turned(jpeg(scene(203, 310)), exif(orientation))
    picture = read(data, cover=(25, 25))
    high, wide = (310, 203) if orientation >= 5 else (203, 310)
    assert picture.size == (high, wide) and picture.image.shape[:2] == (-(-high // 8), -(-wide // 8))


def test_the_turns_are_the_eight_of_exif() -> None:
    image = scene()
    for orientation, stored in ((1, image), (2, image[:, ::-1]), (3, image[::-1, ::-1]), (4, image[::-1]),
                                (5, image.swapaxes(0, 1)), (6, image.swapaxes(0, 1)[::-1]),
                                (7, image.swapaxes(0, 1)[::-1, ::-1]), (8, image.swapaxes(0, 1)[:, ::-1])):
        shown = decode(turned(jpeg(np.ascontiguousarray(stored)), exif(orientation)))
        assert np.abs(shown.astype(int) - image).mean() < 2, orientation


@given(st.integers(8, 400), st.integers(8, 400), st.integers(1, 400), st.integers(1, 400), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_a_reduced_picture_covers_what_is_asked_and_half_of_it_would_not(h: int, w: int, ch: int, cw: int, turn: int) -> None:
    data = turned(jpeg(np.full((h, w, 3), 77, np.uint8)), exif(turn))
    picture = read(data, cover=(ch, cw))
    (high, wide), r = picture.size, picture.reduction
    assert r == 1 or (picture.image.shape[0] >= ch and picture.image.shape[1] >= cw)
    assert r == 8 or high // (2 * r) < ch or wide // (2 * r) < cw


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("options", [(cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
                                     (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111)])
def test_progressive_restarting_and_otherwise_sampled_jpegs(reduction: int, options: tuple[int, int]) -> None:
    data = jpeg(scene(), *options)
    picture = read(data, cover=wanted(reduction, (HEIGHT, WIDTH)))
    assert picture.reduction == reduction
    assert np.abs(picture.image.astype(int) - shrunk(decode(data), reduction)).mean() < 2.5


@pytest.mark.parametrize(("factor", "coarse"), [(0x111111, (1, 1)), (0x221111, (1, 1)), (0x211111, (1, 2)), (0x121111, (2, 1)),
                                                (0x411111, (1, 4))])
@pytest.mark.parametrize("orientation", [1, 6])
def test_colours_cover_too_where_they_are_stored_coarser_along_one_axis(factor: int, coarse: tuple[int, int],
                                                                       orientation: int) -> None:
    data = turned(jpeg(scene(), cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor), exif(orientation))
    size = size_of(data)
    assert size.coarse == coarse
    for reduction in (1, 2, 4, 8):
        picture = read(data, cover=wanted(reduction, size.upright))
        assert picture.reduction == max(1, reduction // max(coarse))
        assert np.abs(picture.image.astype(int) - shrunk(decode(data), picture.reduction)).mean() < 2.5


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_gray_becomes_three_equal_channels_at_every_reduction(reduction: int, orientation: int) -> None:
    data = turned(jpeg(scene()[:, :, 2]), exif(orientation))
    picture = read(data, cover=wanted(reduction, size_of(data).upright))
    assert picture.reduction == reduction and picture.image.ndim == 3
    assert (picture.image == picture.image[:, :, :1]).all()
    assert np.abs(picture.image.astype(int) - shrunk(decode(data), reduction)).mean() < 1.5


def cmyk() -> bytes:
    """A JPEG of four components, 32 x 24: built by hand, as no encoder here makes one. Its blocks are flat."""
    table = bytes([16] * 64)
    counts_dc, counts_ac = bytes([0, 2] + [0] * 14), bytes([1] + [0] * 15)
    head = b"\xff\xd8" + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + b"\xff\xdb\0\x43\0" + table
    head += b"\xff\xc0" + struct.pack(">HBHHB", 8 + 12, 8, 24, 32, 4) + b"".join(bytes([k, 0x11, 0]) for k in (1, 2, 3, 4))
    head += b"\xff\xc4" + struct.pack(">HB", 3 + 16 + 2, 0x00) + counts_dc + bytes([0, 6])
    head += b"\xff\xc4" + struct.pack(">HB", 3 + 16 + 1, 0x10) + counts_ac + bytes([0])
    head += b"\xff\xda" + struct.pack(">HB", 6 + 8, 4) + b"".join(bytes([k, 0]) for k in (1, 2, 3, 4)) + bytes([0, 63, 0])
    # DC: "00" is no change, "01" six bits follow; AC: "0" ends the block. The first block of each component sets its level.
    bits = "".join("01" + format(level, "06b") + "0" for level in (40, 50, 33, 60))
    bits += "000" * (4 * (12 - 1))
    bits += "1" * (-len(bits) % 8)
    return head + bytes(int(bits[k:k + 8], 2) for k in range(0, len(bits), 8)) + b"\xff\xd9"


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_cmyk_is_converted_alike_at_every_reduction(reduction: int) -> None:
    data = cmyk()
    whole, picture = decode(data), read(data, cover=wanted(reduction, (24, 32)))
    assert picture.reduction == reduction and picture.size == (24, 32)
    assert np.ptp(whole.reshape(-1, 3), axis=0).max() == 0 and len(set(whole[0, 0].tolist())) == 3
    assert np.abs(picture.image.astype(int) - whole[0, 0]).max() <= 2


def test_other_formats_are_decoded_whole() -> None:
    picture = read(encode_png(scene()), cover=(10, 10))
    assert picture.reduction == 1 and (picture.image == scene()).all() and picture.size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("broken", [
    exif(0), exif(9), exif(6)[:20] + b"\0" * 30, b"\xff\xe1\0\x08Exif\0\0", b"\xff\xe1\0\x0aExif\0\0XX",
    b"\xff\xe1\0\x12Exif\0\0II*\0\xff\xff\xff\xff\xff\xff"])
def test_a_turn_that_cannot_be_read_is_none(broken: bytes) -> None:
    length = struct.unpack(">H", broken[2:4])[0]
    data = turned(jpeg(scene()), broken[:length + 2].ljust(length + 2, b"\0"))
    assert size_of(data).orientation == 1
    assert decode(data).shape[:2] == (HEIGHT, WIDTH) and read(data, cover=(20, 20)).reduction == 8


def test_where_the_decoder_reads_another_turn_the_picture_still_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    data = turned(jpeg(scene()), exif(6))
    monkeypatch.setattr("aisle.runtime.picture_headers._tiff_orientation", lambda data: 1)
    assert size_of(data).upright == (HEIGHT, WIDTH)
    picture = read(data, cover=(HEIGHT // 4, WIDTH // 4))
    assert picture.reduction == 1 and picture.image.shape[:2] == picture.size == (WIDTH, HEIGHT)


def test_a_segment_of_another_kind_does_not_hide_the_turn() -> None:
    other = b"\xff\xe1" + struct.pack(">H", 2 + 20) + b"http://ns.adobe.com/"
    data = turned(jpeg(scene()), other, exif(6))
    assert size_of(data).upright == decode(data).shape[:2] == (WIDTH, HEIGHT)


@pytest.mark.parametrize("keep", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("cover", [None, (20, 20)])
def test_half_a_picture_is_refused_before_it_is_decoded(keep: float, cover: tuple[int, int] | None,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(scene())
    monkeypatch.setattr("aisle.runtime.pictures._decoded", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(PictureError, match="the JPEG picture is broken: "):
        read(data[:int(keep * len(data))], cover=cover)


def resized_header(data: bytes, height: int, width: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4:]


@pytest.mark.parametrize("cover", [None, (20, 20)])
def test_limits_are_checked_from_the_header_alone(cover: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aisle.runtime.pictures._decoded", lambda *_: pytest.fail("it was decoded"))
    data = jpeg(scene())
    with pytest.raises(PictureTooLarge, match="60000 x 60000 pixels; the limit is 50 megapixels and 30000 pixels a side"):
        read(resized_header(data, 60_000, 60_000), cover=cover)
    with pytest.raises(PictureTooLarge, match="30001 x 1 pixels"):
        read(resized_header(data, 1, 30_001), cover=cover)
    with pytest.raises(PictureTooLarge, match="bytes; the limit is 100: compress it"):
        read(data, PictureLimits(max_bytes=100), cover)
    slow = jpeg(scene(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scans = passes(slow, PictureSize("JPEG", WIDTH, HEIGHT))
    assert scans > 4
    with pytest.raises(PictureTooLarge, match=rf"{WIDTH} x {HEIGHT} pixels in {scans} scans; the limit is .* plain JPEG"):
        read(slow, PictureLimits(max_work=HEIGHT * WIDTH * scans - 1), cover)


def test_a_picture_at_its_limit_of_work_is_read() -> None:
    slow = jpeg(scene(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    work = HEIGHT * WIDTH * passes(slow, PictureSize("JPEG", WIDTH, HEIGHT))
    assert read(slow, PictureLimits(max_work=work)).size == (HEIGHT, WIDTH)
    assert passes(encode_png(scene()), PictureSize("PNG", WIDTH, HEIGHT)) == 1


@given(st.binary(max_size=60), st.integers(2, 800), st.sampled_from([None, (20, 20), (100, 100)]))
@settings(max_examples=150, deadline=None)
def test_bytes_put_anywhere_give_a_picture_or_a_sentence(junk: bytes, at: int, cover: tuple[int, int] | None) -> None:
    data = turned(jpeg(scene(60, 80)), exif(8))
    try:
        picture = read(data[:at] + junk + data[at + len(junk):], PictureLimits(max_pixels=1_000_000), cover)
    except (Invalid, TooLarge) as error:
        assert len(error.sentence) > 20
    else:
        assert picture.image.dtype == np.uint8 and picture.image.ndim == 3
        assert picture.image.shape[:2] == tuple(-(-n // picture.reduction) for n in picture.size)


@pytest.mark.skipif(not ARCHIVES, reason="no odd pictures here: ../shared/data/images_odd or $AISLE_DATA")
def test_odd_pictures_are_read_or_refused_alike_whole_and_reduced() -> None:
    smaller = 0
    for archive in map(zipfile.ZipFile, ARCHIVES):
        for name in (n for n in archive.namelist() if not n.endswith("/")):
            found: list[object] = []
            for cover in (None, (32, 32)):
                try:
                    picture = read(archive.read(name), cover=cover)
                except (Invalid, TooLarge) as error:
                    assert len(error.sentence) > 20, name
                    found.append(type(error))
                else:
                    smaller += picture.reduction > 1
                    found.append(picture.size)
            assert found[0] == found[1], (name, found)
    assert smaller > 0
