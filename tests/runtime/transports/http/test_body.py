"""Decompression within bounds."""

import gzip
import zlib

import pytest
from aisle.runtime.errors import Invalid, TooLarge, Unsupported
from aisle.runtime.transports.http.body import decompress

PLAIN = b"shelf " * 100


@pytest.mark.parametrize(("packed", "encoding"), [
    (gzip.compress(PLAIN), "gzip"), (zlib.compress(PLAIN), "deflate"), (gzip.compress(PLAIN), "deflate"),
    (zlib.compress(PLAIN), "gzip"), (zlib.compress(PLAIN)[2:-4], "deflate"), (gzip.compress(PLAIN), "GZIP")])
def test_both_encodings_whatever_the_header_says(packed: bytes, encoding: str) -> None:
    assert decompress(packed, encoding, 10_000) == PLAIN


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(TooLarge, match="over 1000 bytes once decompressed"):
        decompress(bomb, "gzip", 1000)
    assert decompress(gzip.compress(bytes(1000)), "gzip", 1000) == bytes(1000)


@pytest.mark.parametrize("body", [b"", b"plain text", gzip.compress(PLAIN)[:-9], b"\x1f\x8b" + bytes(20)])
def test_damaged_bodies_are_a_sentence(body: bytes) -> None:
    with pytest.raises(Invalid):
        decompress(body, "gzip", 10_000)


def test_other_encodings_are_unsupported() -> None:
    with pytest.raises(Unsupported, match="expected gzip or deflate"):
        decompress(b"", "br", 10)
