"""Builds the wheel: the repository root is the package `aisle`, every `kernels/*/fast.pyx` an extension.

Where nvcc is found (CUDA_HOME, then PATH) every `kernels/*/fast.cu` becomes a `fast.fatbin` beside it. In a wheel it
holds machine code for each device in ARCHITECTURES that this nvcc knows, and PTX for later ones; in a checkout, where it
is built over and over, PTX of the oldest alone, which the driver compiles for its device when it is first loaded.
AISLE_CUDA says otherwise: all, none, or numbers as 87 or 80,90; when it changes, they are built again.
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
from setuptools.command.build_py import build_py

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


def command(compiler: str, numbers: list[int], source: Path, made: Path) -> list[str]:
    """How nvcc makes a fatbin: machine code for `numbers`, and PTX for later devices."""
    codes = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    latest = min(numbers[-1], 120) if numbers else ARCHITECTURES[0]
    # No contraction into fma, as on the CPU: results are the same bits.
    return [compiler, "-O3", "-std=c++17", "--fmad=false", "--fatbin", *codes,
            f"-gencode=arch=compute_{latest},code=compute_{latest}", "-I", str(ROOT / "kernels"), "-I", str(source.parent),
            "-o", str(made), str(source)]


def stamp(made: Path) -> Path:
    """The file beside a fatbin that keeps the command by which it was made."""
    return made.with_name(made.name + ".txt")


def stale(made: Path, source: Path, wanted: list[str] | None) -> str | None:
    """Why a fatbin must be made again, or None: it is missing, older than its source, or of another command than `wanted`.

    Its source is the .cu, every header beside it and every header of `kernels/`. Without `wanted` any command will do.
    """
    if not made.exists():
        return "it is not there"
    parts = [source, *source.parent.glob("*.h"), *source.parents[1].glob("*.h")]
    newest = max(parts, key=lambda part: part.stat().st_mtime)
    if newest.stat().st_mtime >= made.stat().st_mtime:
        return f"{newest.name} is newer"
    if wanted is not None and (not stamp(made).exists() or stamp(made).read_text() != " ".join(wanted)):
        return "it was made by another command, AISLE_CUDA or nvcc perhaps"
    return None


class Build(build_ext):
    """Extensions, then fatbins: beside the sources for an editable install, else anew where the wheel is gathered."""

    def run(self) -> None:
        super().run()
        compiler, wish = nvcc(), os.environ.get("AISLE_CUDA") or ("ptx" if self.inplace else "all")
        sources = sorted((ROOT / "kernels").glob("*/fast.cu"))
        if compiler is None or wish == "none":
            print("no CUDA kernels are built:", "AISLE_CUDA says so" if wish == "none" else "nvcc was not found")
            self.drop(sources, every=wish == "none")
            return
        numbers = architectures(compiler, wish)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda source: self.fatbin(compiler, numbers, source), sources))

    def drop(self, sources: list[Path], every: bool) -> None:
        """Take away fatbins that nobody wants, or that are older than their source and cannot be made again here."""
        for made, source in ((source.with_suffix(".fatbin"), source) for source in sources if self.inplace):
            why = "AISLE_CUDA=none" if every else stale(made, source, None)
            if made.exists() and why:
                print(f"{made.relative_to(ROOT)} is removed: {why}")
                made.unlink()
                stamp(made).unlink(missing_ok=True)

    def fatbin(self, compiler: str, numbers: list[int], source: Path) -> None:
        """One op; in a checkout only where it is stale."""
        root = ROOT if self.inplace else Path(self.build_lib) / "aisle"
        made = root / source.relative_to(ROOT).with_suffix(".fatbin")
        wanted = command(compiler, numbers, source, made)
        if self.inplace and not self.force and stale(made, source, wanted) is None:
            return
        made.parent.mkdir(parents=True, exist_ok=True)
        stamp(made).unlink(missing_ok=True)    # so that one that fails half-way is stale
        subprocess.run(wanted, check=True)
        if self.inplace:
            stamp(made).write_text(" ".join(wanted))


class Modules(build_py):
    """The packages' modules, without the tests among them (`bench/test_kernels.py`)."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        return [found for found in super().find_package_modules(package, package_dir) if not found[1].startswith("test_")]


VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "__init__.py").read_text())[1]

if __name__ == "__main__":
    setup(
        version=VERSION,
        package_dir={"aisle": "."},
        packages=packages(),
        package_data={"aisle": ["py.typed"], "aisle.runtime": ["web/*", "*.toml"], "aisle.runtime.client": ["*.h", "*.c"],
                      "aisle.edge_devices": ["profiles/*.toml"],
                      "aisle.models.route": ["profiles/*.toml"], "aisle.kernels": ["*/fast.fatbin"],
                      "aisle.bench": ["*.toml", "peers/servers/*.py"],
                  "aisle.bench.recommend": ["*.txt", "*.md"], "aisle.models.search": ["*.toml"],
                  "aisle.models.make": ["*.toml", "shop_taste/*/*/*"]},
        ext_modules=cythonize(extensions(), language_level=3,
                              compiler_directives={"boundscheck": False, "wraparound": False, "cdivision": True}),
        cmdclass={"build_ext": Build, "build_py": Modules},
        zip_safe=False,
    )
