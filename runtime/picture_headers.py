"""Reads a picture's format, size and turn from its first bytes, and whether its end is there, before anything is decoded.

Formats are those whose memory is known from the header: JPEG, PNG, BMP, WebP, binary PNM. Others are named and
refused: their decoders are larger than the need for them at a camera.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .errors import Invalid, TooLarge

MAX_CHUNKS = 100_000      # of a PNG
MAX_SEGMENTS = 10_000     # of a JPEG, before its first scan
MAX_SCANS = 200           # of a progressive JPEG: each costs a pass over the whole picture
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_REFUSED = (
    (b"GIF8", "GIF"), (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "BigTIFF"), (b"MM\0+", "BigTIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"), (b"\xff\x4f\xff\x51", "JPEG 2000"), (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"), (b"#?RGBE", "Radiance HDR"), (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"\xff\x0a", "JPEG XL"), (b"\0\0\0\x0cJXL ", "JPEG XL"), (b"%PDF", "PDF"), (b"8BPS", "Photoshop"),
    (b"P1", "text PNM"), (b"P2", "text PNM"), (b"P3", "text PNM"), (b"P4", "bitmap PNM"), (b"P7", "PAM"),
    (b"PF", "PFM"), (b"Pf", "PFM"), (b"<svg", "SVG"), (b"<?xml", "SVG or XML"), (b"qoif", "QOI"), (b"DDS ", "DDS"),
    (b"\0\0\1\0", "ICO"), (b"\x8aMNG", "MNG"),
)
ADVICE = "send JPEG, PNG, BMP, WebP or binary PNM"


class PictureError(Invalid):
    """Bytes that are not a whole picture of a format that is read here."""


class PictureTooLarge(TooLarge):
    """A picture over a limit of bytes, pixels or side."""


@dataclass(frozen=True)
class PictureSize:
    """What the header says: width and height in pixels as stored, before any EXIF orientation.

    Of a JPEG also EXIF's `orientation`, 1 to 8, and how much coarser than the pixels its colours stay along (y, x) where
    it is decoded smaller: colours stored at half the width but not height (4:2:2) are not scaled less than the pixels.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    coarse: tuple[int, int] = (1, 1)

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) as people see it."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)

    def covers(self, cover: tuple[int, int], reduction: int) -> bool:
        """Whether 1 / `reduction` of it, colours too, has at least `cover` (height, width) pixels, upright."""
        coarse = self.coarse[::-1] if self.orientation >= 5 else self.coarse
        return all(n // (reduction * k) >= least for n, k, least in zip(self.upright, coarse, cover, strict=True))


def size_of(data: bytes | memoryview) -> PictureSize:
    """Format and size of the picture in `data`, from its header alone.

    PictureError for broken data, and (naming the format) for one that is not read here.
    """
    head = bytes(data[:32])
    for magic, name, read in _READERS:
        if head.startswith(magic):
            try:
                width, height = read(memoryview(data))
            except (struct.error, IndexError) as error:
                raise broken(name, "its header ends too early") from error
            if width < 1 or height < 1:
                raise broken(name, f"its header says {width} x {height} pixels")
            size = PictureSize(name, width, height)
            return _jpeg_details(memoryview(data), size) if name == "JPEG" else size
    refused = next((name for magic, name in _REFUSED if head.startswith(magic)), None)
    if head[4:8] == b"ftyp":
        refused = "AVIF or HEIF" if head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1") else "MP4"
    if refused:
        raise PictureError(f"the picture is {refused}, which is not read here; {ADVICE}")
    raise PictureError(f"the data is no picture known here (it starts with {head[:8].hex(' ') or 'nothing'}); {ADVICE}")


def passes(data: bytes | memoryview, size: PictureSize) -> int:
    """How often a decoder goes over the whole picture: the scans of a progressive JPEG, 1 for others."""
    return max(1, bytes(data).count(b"\xff\xda")) if size.format == "JPEG" else 1


def whole(data: bytes | memoryview, size: PictureSize) -> bytes | memoryview:
    """What of `data` a decoder needs. PictureError where the end is missing: half a picture must not be judged."""
    if size.format == "PNG":
        return _png_whole(memoryview(data))
    _CHECKS[size.format](memoryview(data), size)
    return data


def broken(name: str, why: str) -> PictureError:
    """The sentence for a picture of format `name` that cannot be used."""
    return PictureError(f"the {name} picture is broken: {why}; send it again, whole")


# ---- JPEG

def _segments(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """(marker, first byte, length) of each segment of a JPEG; of those after which data comes, the length is 0."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        while data[at] != 0xFF:       # decoders skip stray bytes between segments, so does this
            at += 1
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in (0xD9, 0xDA):
            yield marker, at, 0
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        length = struct.unpack_from(">H", data, at)[0]
        if length < 2:
            raise broken("JPEG", f"a segment of {length} bytes")
        yield marker, at + 2, length - 2
        at += length
    raise broken("JPEG", f"more than {MAX_SEGMENTS} segments")


def _jpeg(data: memoryview) -> tuple[int, int]:
    for marker, at, _ in _segments(data):
        if marker in _SOF:
            height, width = struct.unpack_from(">HH", data, at + 1)
            return width, height
    raise broken("JPEG", "it has no frame header")


def _jpeg_details(data: memoryview, size: PictureSize) -> PictureSize:
    """The size with orientation, from the first EXIF segment before the frame as OpenCV looks for it, and colours."""
    orientation = 0
    for marker, at, length in _segments(data):
        if marker in _SOF:
            return replace(size, orientation=orientation or 1, coarse=_coarse(data[at:at + length]))
        if marker == 0xE1 and not orientation and bytes(data[at:at + 6]) == b"Exif\0\0":
            orientation = _tiff_orientation(data[at + 6:at + length])
    return size


def _coarse(frame: memoryview) -> tuple[int, int]:
    """See PictureSize; decoders scale a component less by what it is coarser along both axes."""
    sampling = [(factors & 15 or 1, factors >> 4 or 1) for factors in frame[7:6 + 3 * frame[5]:3]]
    down, across = (max((s[axis] for s in sampling), default=1) for axis in (0, 1))
    steps = [(down / v, across / h) for v, h in sampling]
    return (max((math.ceil(y / min(y, x)) for y, x in steps), default=1),
            max((math.ceil(x / min(y, x)) for y, x in steps), default=1))


def _tiff_orientation(tiff: memoryview) -> int:
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None:
        return 1
    try:
        first = struct.unpack_from(f"{order}I", tiff, 4)[0]
        for entry in range(struct.unpack_from(f"{order}H", tiff, first)[0]):
            tag, value = struct.unpack_from(f"{order}H6xH", tiff, first + 2 + 12 * entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:    # an end too early: decoders show such a picture as it is stored
        pass
    return 1


def _jpeg_whole(data: memoryview, size: PictureSize) -> None:
    raw = bytes(data)
    first = raw.find(b"\xff\xda")
    if raw.rfind(b"\xff\xd9") < first or first < 0:
        raise broken("JPEG", "its end is missing")
    scans = passes(raw, size)
    if scans > MAX_SCANS:
        raise broken("JPEG", f"it has {scans} scans, more than {MAX_SCANS}")


# ---- PNG

def _png(data: memoryview) -> tuple[int, int]:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if length != 13 or kind != b"IHDR":
        raise broken("PNG", "it does not start with its header")
    return width, height


def _png_whole(data: memoryview) -> bytes:
    """The chunks that make pixels, and the orientation; their checksums must be right and the last must be IEND.

    Colour profiles, texts and times are left out: no pixel here depends on them, and they have been used to attack
    decoders.
    """
    at, kept = 8, [data[:8]]
    for _ in range(MAX_CHUNKS):
        if at + 12 > len(data):
            raise broken("PNG", "its end is missing")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise broken("PNG", "its end is missing")
        if kind == b"acTL":
            raise PictureError("the PNG is animated; send one still picture")
        critical = not kind[0] & 32
        if critical and zlib.crc32(data[at + 4:end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise broken("PNG", f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if critical or kind == b"eXIf":
            kept.append(data[at:end])
        if kind == b"IEND":
            return b"".join(kept)
        at = end
    raise broken("PNG", f"more than {MAX_CHUNKS} chunks")


# ---- BMP

def _bmp(data: memoryview) -> tuple[int, int]:
    header = struct.unpack_from("<I", data, 14)[0]
    if header == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    if header < 40:
        raise broken("BMP", f"a header of {header} bytes")
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)


def _bmp_whole(data: memoryview, size: PictureSize) -> None:
    start, header = struct.unpack_from("<I4xI", data, 10)[0], struct.unpack_from("<I", data, 14)[0]
    bits = struct.unpack_from("<H", data, 24 if header == 12 else 28)[0]
    packed = struct.unpack_from("<I", data, 30)[0] if header >= 40 else 0
    if packed in (0, 3, 6):
        need = start + (size.width * bits + 31) // 32 * 4 * size.height
        if need > len(data):
            raise broken("BMP", f"it needs {need:,} bytes and has {len(data):,}")
    elif packed not in (1, 2):
        raise PictureError(f"the BMP holds compressed data of kind {packed}, which is not read here; {ADVICE}")


# ---- WebP

def _webp(data: memoryview) -> tuple[int, int]:
    kind = bytes(data[12:16])
    if bytes(data[8:12]) != b"WEBP":
        raise broken("WebP", "it is another RIFF file")
    if kind == b"VP8X":
        if data[20] & 2:
            raise PictureError("the WebP is animated; send one still picture")
        return (int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1)
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise broken("WebP", "it does not start with a picture")


def _webp_whole(data: memoryview, size: PictureSize) -> None:
    need = struct.unpack_from("<I", data, 4)[0] + 8
    if need > len(data):
        raise broken("WebP", f"it needs {need:,} bytes and has {len(data):,}")


# ---- PNM, binary gray (P5) and colour (P6)

_PNM = re.compile(rb"P([56])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")


def _pnm_header(data: memoryview) -> re.Match[bytes]:
    match = _PNM.match(bytes(data[:4096]))
    if match is None:
        raise broken("PNM", "its header has not width, height and highest value")
    return match


def _pnm(data: memoryview) -> tuple[int, int]:
    match = _pnm_header(data)
    return int(match[2]), int(match[3])


def _pnm_whole(data: memoryview, size: PictureSize) -> None:
    match = _pnm_header(data)
    high = int(match[4])
    if high not in (255, 65535):
        raise PictureError(f"the PNM has {high} as its highest value; 255 and 65535 are read here")
    need = match.end() + size.width * size.height * (3 if match[1] == b"6" else 1) * (1 if high == 255 else 2)
    if need > len(data):
        raise broken("PNM", f"it needs {need:,} bytes and has {len(data):,}")


_READERS: tuple[tuple[bytes, str, Callable[[memoryview], tuple[int, int]]], ...] = (
    (b"\xff\xd8\xff", "JPEG", _jpeg), (b"\x89PNG\r\n\x1a\n", "PNG", _png), (b"BM", "BMP", _bmp),
    (b"RIFF", "WebP", _webp), (b"P5", "PNM", _pnm), (b"P6", "PNM", _pnm),
)
_CHECKS: dict[str, Callable[[memoryview, PictureSize], None]] = {
    "JPEG": _jpeg_whole, "BMP": _bmp_whole, "WebP": _webp_whole, "PNM": _pnm_whole,
}
