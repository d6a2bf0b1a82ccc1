"""What answered is noted where it ran and known where the answer is written, and nowhere else."""

from __future__ import annotations

import asyncio

from aisle.runtime.answered import named, note, noting


def test_variants_are_named_once_in_their_order():
    with noting() as found:
        for way in ("onnx int8", "", "onnx fp32", "onnx int8"):
            note(way)
    assert named(found) == "onnx int8, onnx fp32" and named({}) == ""


async def test_requests_side_by_side_do_not_mix():
    async def request(way: str) -> str:
        with noting() as found:
            await asyncio.sleep(0)
            await asyncio.gather(network(way), network(way))
            return named(found)

    async def network(way: str) -> None:
        await asyncio.sleep(0)
        note(way)
    assert await asyncio.gather(*(request(way) for way in "abc")) == ["a", "b", "c"]
    note("nobody asks")
