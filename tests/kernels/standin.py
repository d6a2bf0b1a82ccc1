"""Builds the stand-in for libcuda, and what of pycuda's names it does not have as stubs that say "not supported"."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "standin_cuda.cpp"
NAME = "libcuda.so.1"


def build(folder: Path, wanted: set[str] = frozenset()) -> Path:   # type: ignore[assignment]
    """`folder`/libcuda.so.1, which exports the names of `wanted` too."""
    made, stubs = folder / NAME, folder / "stubs.cpp"
    have = set(re.findall(r"^API (cu\w+)\(", SOURCE.read_text(), re.MULTILINE))
    stubs.write_text("\n".join(f'extern "C" int {name}() {{ return 801; }}' for name in sorted(wanted - have)) + "\n")
    subprocess.run(["g++", "-O1", "-std=c++17", "-fPIC", "-shared", f"-Wl,-soname,{NAME}", "-U_FORTIFY_SOURCE", "-o", str(made),
                    str(SOURCE), str(stubs), "-ldl"], check=True)
    return made


def linked(library: Path) -> set[str]:
    """The names of the driver's interface that a library needs."""
    told = subprocess.run(["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r" U (cu[A-Z]\w*)", told))
