"""Builds the wheel: the repository root is the package `aisle`, every `kernels/*/fast.pyx` an extension."""

import re
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
LAYERS = ("kernels", "models", "edge_devices", "runtime", "bench")
FLAGS = [] if sys.platform == "win32" else [
    "-O3", "-std=c++17", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fvisibility=hidden",
]


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


VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "__init__.py").read_text())[1]

setup(
    version=VERSION,
    package_dir={"aisle": "."},
    packages=packages(),
    package_data={"aisle": ["py.typed"], "aisle.runtime": ["web/*", "*.toml"], "aisle.edge_devices": ["profiles/*.toml"],
                  "aisle.bench": ["*.toml"]},
    ext_modules=cythonize(extensions(), language_level=3,
                          compiler_directives={"boundscheck": False, "wraparound": False, "cdivision": True}),
    zip_safe=False,
)
