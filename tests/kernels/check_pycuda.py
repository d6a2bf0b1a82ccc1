"""`make check-pycuda`: the real pycuda, over a stand-in for the driver's library, runs every CUDA kernel. No GPU is used.

    python tests/kernels/check_pycuda.py FOLDER     builds pycuda and the kernels for the host in FOLDER, then runs
    python tests/kernels/check_pycuda.py --run FOLDER

The second form is what the first starts, with pycuda on its path and the stand-in where libcuda.so.1 is looked for.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parent))
import cuda_host
import standin

PYCUDA = "pycuda==2026.1"
HEADERS = ("nvidia-cuda-runtime", "nvidia-cuda-profiler-api")
ROOT = Path(__file__).parents[2]


def toolkit(folder: Path) -> Path:
    """Where CUDA's headers are: CUDA_HOME, a usual place, that of nvcc; else they are fetched, without a compiler."""
    nvcc = shutil.which("nvcc")
    places = [Path(os.environ["CUDA_HOME"])] if os.environ.get("CUDA_HOME") else []
    places += [Path("/usr/local/cuda"), *([Path(nvcc).resolve().parents[1]] if nvcc else [])]
    for place in places:
        if (place / "include" / "cuda.h").exists() and (place / "include" / "cudaProfiler.h").exists():
            return place
    pip("install", "--target", str(folder / "headers"), *HEADERS)
    return next((folder / "headers" / "nvidia").glob("**/include/cuda.h")).parents[1]


def pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words], check=True)


def build_pycuda(folder: Path) -> Path:
    """A folder with pycuda and what it needs, made from its source once; about 80 s of a core."""
    site = folder / "site"
    if (site / "pycuda").exists():
        return site
    with TemporaryDirectory(dir=folder) as made:
        work = Path(made)
        pip("download", "--no-deps", "--no-binary", "pycuda", "--no-build-isolation", "-d", made, PYCUDA)
        shutil.unpack_archive(next(work.glob("pycuda*.tar.gz")), work)
        source = next(path for path in work.glob("pycuda*") if path.is_dir())
        (work / "libcuda.so").symlink_to(folder / standin.NAME)
        # What configure would find out, and could not: there is no driver to link with, and no curand in a bare toolkit.
        (source / "siteconf.py").write_text(f"CUDA_ROOT = {str(toolkit(folder))!r}\nCUDA_ENABLE_CURAND = False\n"
                                            f"CUDADRV_LIB_DIR = [{made!r}]\nCXXFLAGS = ['-O1']\n")
        pip("install", "--target", str(folder / "part"), str(source))
    (folder / "part").rename(site)
    return site


def build(folder: Path) -> Path:
    """Everything that a run needs in `folder`; where pycuda is."""
    folder.mkdir(parents=True, exist_ok=True)
    standin.build(folder)
    site = build_pycuda(folder)
    standin.build(folder, standin.linked(next(site.glob("pycuda/_driver*.so"))))
    for source in sorted(cuda_host.KERNELS.glob("*/fast.cu")):
        cuda_host.build(source.parent.name, folder)
    return site


# ---- the run, with pycuda on the path

def run(folder: Path) -> None:
    """AssertionError where anything is not as it must be."""
    from aisle.bench import gpu
    from aisle.kernels import _cuda

    # The only thing that is not as on a device: a module is a library of the host.
    _cuda.fatbin = lambda package: folder / f"{package.rpartition('.')[2]}.so"
    driver = _cuda.driver()
    assert isinstance(driver, _cuda.PycudaDriver)
    print(f"pycuda over {driver.name}")
    gpu_check(folder)
    ran = {package for package, _, _ in driver._functions}
    assert {package.rpartition(".")[2] for package in ran} == set(gpu.packages()), ran
    in_threads()
    sessions()
    mistakes()
    print(f"{len(gpu.packages())} packages, {len(driver._functions)} kernels, threads and mistakes: as they must be "
          "(a stand-in on the host: no GPU was used)")


def gpu_check(folder: Path) -> None:
    """All of `make gpu-check` but for the size of its work; what it keeps and writes goes into `folder`."""
    import json

    from aisle.bench import gpu
    from aisle.bench.report import Options
    page, result = folder / "verified-on.md", folder / "gpu.json"
    page.write_text(f"# Verified on\n\n{gpu.BEGIN}\n{gpu.END}\n")

    def keep(kept: dict) -> Path:
        result.write_text(json.dumps(kept))
        return result
    assert gpu.main(Options(quick=True), page, keep) == 0, "a kernel is not as the reference, see above"
    rows = json.loads(result.read_text())["rows"]
    assert "stand-in on the host, no GPU" in page.read_text() and page.read_text().count("\n| ") == len(rows) + 1
    assert {row["metric"] for row in rows} >= {"time", "read and written once", "worst error of what is tolerated"}


def free_bytes() -> int:
    """What the device has left."""
    from aisle.kernels import _cuda
    driver = _cuda.driver()
    with driver._current("asking for free memory"):
        return int(driver._cuda.mem_get_info()[0])


def in_threads(count: int = 4) -> None:
    """Each thread has its stream and gives its memory back, and what one of them makes another may read."""
    import numpy as np
    from aisle.kernels import _cuda, smooth
    left = free_bytes()
    maps = np.random.default_rng(0).random((count, 20, 30), np.float32)
    found: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        there = _cuda.DeviceArray.of(maps[number])
        out = _cuda.DeviceArray(maps[number].shape, np.float32)
        smooth(there, out=out)
        found[number] = out.host()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_cuda.driver()._streams) >= count
    assert free_bytes() == left, f"{left - free_bytes()} bytes were not given back"
    for number, map in enumerate(maps):
        want = np.empty_like(map)
        smooth(map, out=want)
        np.testing.assert_array_equal(found[number], want)


def sessions() -> None:
    """Engines: their rows are pinned, and kernels fill them on the device."""
    sys.path.insert(0, str(ROOT / "tests" / "runtime" / "backends"))
    import session_over_pycuda
    session_over_pycuda.run(free_bytes)


def mistakes() -> None:
    """Errors of the driver come as sentences; the last one is sticky, so that it is the last."""
    import numpy as np
    from aisle.kernels import _cuda
    there = _cuda.DeviceArray((64,), np.int32)

    def said(call: object, *words: str) -> _cuda.CudaError:
        try:
            call()   # type: ignore[operator]
        except _cuda.CudaError as error:
            assert all(word in str(error) for word in words), error
            return error
        raise AssertionError(f"nothing was said of {words}")
    package = "aisle.kernels.knn"
    said(lambda: _cuda.launch(package, "knn_start", (64,), "Piii", there, 64, 1, 1), "CUDA_ERROR_INVALID_VALUE")
    said(lambda: _cuda.launch(package, "knn_start", (64,), "Pii", there, 64, 1, block=(2048, 1, 1)), "INVALID_VALUE")
    said(lambda: _cuda.launch(package, "no_such_kernel", (64,), "P", there), "not found")
    said(lambda: _cuda.driver().download(there.address, np.empty(65, np.int32)), "copying 260 bytes from", "INVALID_VALUE")
    said(lambda: _cuda.DeviceArray((1 << 40,), np.uint8), "CUDA_ERROR_OUT_OF_MEMORY", "load fewer models")
    assert _cuda.DeviceArray.of(np.arange(5)).host().tolist() == [0, 1, 2, 3, 4], "these errors pass"
    _cuda.launch(package, "knn_start", (65,), "Pii", there, 65, 1)
    lost = said(there.host, "CUDA_ERROR_ILLEGAL_ADDRESS", "outside its arrays", "must be started again")
    assert lost.sticky and said(there.host, "ILLEGAL_ADDRESS").sticky


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    folder = args.folder.resolve()
    if args.run:
        run(folder)
        sys.stdout.flush()
        os._exit(0)      # the context is lost by then, and pycuda complains of each thing it cannot give back
    begin = time.monotonic()
    site = build(folder)
    print(f"pycuda and the kernels are built ({time.monotonic() - begin:.0f} s)", flush=True)
    paths = os.pathsep.join([str(site), str(ROOT / ".venv" / "typing")])
    env = os.environ | {"PYTHONPATH": paths, "LD_LIBRARY_PATH": str(folder)}
    return subprocess.run([sys.executable, __file__, "--run", str(folder)], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
