"""Shows that the sanitizers of this run are live: two planted faults must be reported, or the run proves nothing.

`make sanitize` runs it first, in the environment of its tests: `python planted.py FLAGS`, the flags of that build.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = r"""
extern "C" int beyond(int n) { int* volatile four = new int[4]; int value = four[n]; delete[] four; return value; }
extern "C" int over(int n) { return 2147483647 + n; }
"""
FAULTS = {"beyond": (4, "AddressSanitizer: heap-buffer-overflow"), "over": (1, "runtime error: signed integer overflow")}


def build(folder: Path, flags: list[str]) -> Path:
    """The faults as a library, compiled with `flags` as the kernels are."""
    source, library = folder / "planted.cpp", folder / "planted.so"
    source.write_text(SOURCE)
    quiet = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    subprocess.run([os.environ.get("CXX", "g++"), "-O1", "-fPIC", "-shared", *flags, str(source), "-o", str(library)],
                   check=True, env=quiet)
    return library


def main(flags: list[str]) -> int:
    """0 where each fault ends its process with its report."""
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder), flags)
        for name, (argument, report) in FAULTS.items():
            code = f"import ctypes; ctypes.CDLL({str(library)!r}).{name}({argument})"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            if done.returncode == 0 or report not in done.stderr:
                print(f"a planted fault was not caught: expected {report!r} from {name}({argument}), got exit status "
                      f"{done.returncode} and {done.stderr[-300:]!r}; what the sanitizers say of the kernels means nothing",
                      file=sys.stderr)
                return 1
    print(f"the sanitizers are live: {len(FAULTS)} planted faults were reported")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
