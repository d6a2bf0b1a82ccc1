"""A driver that runs the CUDA kernels' own source on the host: compiled by g++ against cuda_host.h, memory guarded."""

from __future__ import annotations

import ctypes
import re
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

KERNELS = Path(__file__).parents[2] / "kernels"
GUARD, FILL = 256, 0xCD
TROUBLES = {1: "the argument block has another size than the kernel's parameters", 2: "the grid or the block is too large",
            3: "a barrier was not reached by every thread of a block"}


class Memory:
    """An allocation between two guards: a kernel that writes beyond it is found out."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.bytes = np.full(size + 2 * GUARD + 16, FILL, np.uint8)
        self.start = GUARD + (-self.bytes.ctypes.data - GUARD) % 16
        self.address = self.bytes.ctypes.data + self.start

    def intact(self) -> bool:
        around = np.delete(self.bytes, np.s_[self.start:self.start + self.size])
        return bool((around == FILL).all())


class HostDriver:
    """`kernels._cuda.Driver` over libraries in `folder`, built at need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launched: set[tuple[str, str]] = set()
        self._libraries: dict[str, ctypes.CDLL] = {}
        self._owned: list[Memory] = []

    def allocate(self, size: int) -> tuple[int, object]:
        memory = Memory(size)
        self._owned.append(memory)
        return memory.address, memory

    def _within(self, address: int, size: int) -> None:
        assert any(m.address <= address and address + size <= m.address + m.size for m in self._owned), "a copy out of range"

    def upload(self, address: int, values: np.ndarray) -> None:
        self._within(address, values.nbytes)
        ctypes.memmove(address, values.ctypes.data, values.nbytes)

    def download(self, address: int, values: np.ndarray) -> None:
        self._within(address, values.nbytes)
        ctypes.memmove(values.ctypes.data, address, values.nbytes)

    def copy(self, source: int, target: int, size: int) -> None:
        self._within(source, size)
        self._within(target, size)
        ctypes.memmove(target, source, size)

    def launch(self, package: str, kernel: str, grid: tuple[int, int, int], block: tuple[int, int, int], layout: str,
               arguments: Sequence[Any]) -> None:
        op = package.rpartition(".")[2]
        packed = struct.pack(layout, *arguments)
        code = getattr(self.library(op), f"launch_{kernel}")(
            (ctypes.c_uint * 3)(*grid), (ctypes.c_uint * 3)(*block), packed, ctypes.c_size_t(len(packed)))
        assert code == 0, f"{op}.{kernel}, grid {grid}, block {block}: {TROUBLES[code]}"
        assert all(memory.intact() for memory in self._owned), f"{op}.{kernel} wrote outside its arrays"
        self.launched.add((op, kernel))

    def forget(self) -> None:
        """Let go of all memory."""
        self._owned.clear()

    def library(self, op: str) -> ctypes.CDLL:
        """The kernels of an op, compiled once."""
        if op not in self._libraries:
            self._libraries[op] = ctypes.CDLL(str(build(op, self.folder)))
        return self._libraries[op]


def kernels(op: str) -> list[str]:
    """Names of an op's kernels."""
    text = (KERNELS / op / "fast.cu").read_text()
    return re.findall(r"__global__\s+void\s+(?:__launch_bounds__\(\w+\)\s+)?(\w+)\(", text)


def build(op: str, folder: Path, *flags: str) -> Path:
    """g++ on the very same .cu."""
    exports = "\n".join(f"HOST_KERNEL({name})" for name in kernels(op))
    source, library = folder / f"{op}.cpp", folder / f"{op}.so"
    source.write_text(f'#include "{Path(__file__).parent / "cuda_host.h"}"\n#include "{KERNELS / op / "fast.cu"}"\n{exports}\n')
    subprocess.run(["g++", "-O1", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=off", "-Wno-unknown-pragmas",
                    "-U_FORTIFY_SOURCE", *flags,
                    f"-I{KERNELS}", f"-I{KERNELS / op}", str(source), "-o", str(library)], check=True)
    return library
