"""Builds the wheel: the repository root is the package `aisle`, every `kernels/*/fast.pyx` an extension.

Where nvcc is found (CUDA_HOME, then PATH) every `kernels/*/fast.cu` becomes a `fast.fatbin` beside it. In a wheel it
holds machine code for each device in ARCHITECTURES that this nvcc knows, and PTX for later ones; in a checkout, where it
is built over and over, PTX of the oldest alone, which the driver compiles for its device when it is first loaded.
AISLE_CUDA says otherwise: all, none, or numbers as 87 or 80,90.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent
LAYERS = ("kernels", "models", "edge_devices", "runtime", "bench")
FLAGS = [] if sys.platform == "win32" else [
    "-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fvisibility=hidden",
]

# Turing to Blackwell; 87 is Jetson Orin, 110 Thor. Code for 120 runs on what is alike and later of its family.
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121)


def packages() -> list[str]:
    """Every folder of a layer that holds an `__init__.py`; tests and setup.py stay out of the wheel."""
    found = ["aisle"]
    for layer in LAYERS:
        inits = sorted((ROOT / layer).rglob("__init__.py"))
        found += [".".join(("aisle", *p.parent.relative_to(ROOT).parts)) for p in inits]
    return found


def extensions() -> list[Extension]:
    """One extension an op; paths are relative, as setuptools wants them."""
    found = []
    for pyx in sorted((ROOT / "kernels").glob("*/fast.pyx")):
        path = pyx.relative_to(ROOT)
        name = ".".join(("aisle", *path.with_suffix("").parts))
        found.append(Extension(
            name, [str(path)], language="c++", extra_compile_args=FLAGS,
            include_dirs=["kernels", str(path.parent)],
            depends=[str(p.relative_to(ROOT)) for p in (*pyx.parent.glob("*.h"), *(ROOT / "kernels").glob("*.h"))],
        ))
    return found


def nvcc() -> str | None:
    """The compiler, or None."""
    home = os.environ.get("CUDA_HOME")
    if home and (Path(home) / "bin" / "nvcc").exists():
        return str(Path(home) / "bin" / "nvcc")
    return shutil.which("nvcc")


def architectures(compiler: str, wish: str) -> list[int]:
    """What to build machine code for: all that this compiler knows of ARCHITECTURES, those of the wish, or none."""
    if wish in ("ptx", "none"):
        return []
    if wish != "all":
        return [int(number) for number in wish.split(",")]
    listed = subprocess.run([compiler, "--list-gpu-arch"], capture_output=True, text=True, check=True).stdout
    known = {int(number) for number in re.findall(r"compute_(\d+)", listed)}
    return [number for number in ARCHITECTURES if number in known]


class Build(build_ext):
    """Extensions, then fatbins: beside the sources for an editable install, else where the wheel is gathered."""

    def run(self) -> None:
        super().run()
        compiler, wish = nvcc(), os.environ.get("AISLE_CUDA") or ("ptx" if self.inplace else "all")
        if compiler is None or wish == "none":
            print("no CUDA kernels are built:", "AISLE_CUDA says so" if compiler else "nvcc was not found")
            return
        numbers = architectures(compiler, wish)
        root = ROOT if self.inplace else Path(self.build_lib) / "aisle"
        sources = sorted((ROOT / "kernels").glob("*/fast.cu"))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda source: self.fatbin(compiler, numbers, source, root), sources))

    def fatbin(self, compiler: str, numbers: list[int], source: Path, root: Path) -> None:
        """One op; nothing where its fatbin is newer than all it is made of."""
        made = root / source.relative_to(ROOT).with_suffix(".fatbin")
        parts = [source, *source.parent.glob("*.h"), *(ROOT / "kernels").glob("*.h"), Path(__file__)]
        if made.exists() and made.stat().st_mtime > max(part.stat().st_mtime for part in parts) and not self.force:
            return
        made.parent.mkdir(parents=True, exist_ok=True)
        codes = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
        latest = min(numbers[-1], 120) if numbers else ARCHITECTURES[0]
        ptx = f"-gencode=arch=compute_{latest},code=compute_{latest}"
        # No contraction into fma, as on the CPU: results are the same bits.
        subprocess.run([compiler, "-O3", "-std=c++17", "--fmad=false", "--fatbin", *codes, ptx, "-I", str(ROOT / "kernels"),
                        "-I", str(source.parent), "-o", str(made), str(source)], check=True)


VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "__init__.py").read_text())[1]

setup(
    version=VERSION,
    package_dir={"aisle": "."},
    packages=packages(),
    package_data={"aisle": ["py.typed"], "aisle.runtime": ["web/*", "*.toml"], "aisle.runtime.client": ["*.h", "*.c"],
                  "aisle.edge_devices": ["profiles/*.toml"],
                  "aisle.models.route": ["profiles/*.toml"], "aisle.kernels": ["*/fast.fatbin"],
                  "aisle.bench": ["*.toml"]},
    ext_modules=cythonize(extensions(), language_level=3,
                          compiler_directives={"boundscheck": False, "wraparound": False, "cdivision": True}),
    cmdclass={"build_ext": Build},
    zip_safe=False,
)
