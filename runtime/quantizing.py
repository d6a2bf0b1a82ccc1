"""Quantising a bundle on disk: its pictures are read, its network is made INT8 and judged, and a new version is written."""

from __future__ import annotations

import shutil
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..edge_devices.probe import probe
from ..models.agreement import Progress, Run
from ..models.bundle import AGREEMENT, Bundle, BundleError, Variant, verify
from ..models.bundle_file import FILE_NAME, VERSION, read_bundle
from ..models.calibrate import Sample, array_sample, picture_reader
from ..models.inspect.publish import publish
from ..models.quantize import Quantized, quantize
from .backends import make_backend
from .backends.onnx_engine import memory_limit
from .backends.onnx_quantize import OnnxTool, missing
from .discover import chosen, discover, read
from .errors import Invalid
from .pictures import PictureLimits, decode
from .teaching import pictures as picture_files
from .versions import next_version

MOST = 400                 # pictures that are read; more cost time and memory and change nothing
SPEED_TURNS = 40           # runs of each file by which its speed is told
ARTEFACTS = {"cpu": ("onnx", "int8"), "trt": ("tensorrt", "int8")}


@dataclass(frozen=True)
class Made:
    """What was written, and how good and how fast it is here; times in ms of one row on one thread."""

    name: str
    version: str
    path: str
    source: str
    result: Quantized
    fp32_ms: float
    int8_ms: float
    bytes: dict[str, int]

    @property
    def ratio(self) -> float:
        """How many times faster than FP32, on this machine."""
        return self.fp32_ms / self.int8_ms

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "ratio": round(self.ratio, 3)}


def find_bundle(path: Path) -> tuple[Bundle, Path]:
    """(the bundle at `path`, the folder of models that its next version belongs to).

    `path` is a bundle's folder, or a model's folder, of which the newest version is meant. BundleError for anything else.
    """
    if not path.is_dir():
        raise BundleError(f"{path} is not a folder; name a bundle, such as models/NAME or models/NAME/VERSION")
    path = path.resolve()
    if (path / FILE_NAME).is_file():
        bundle = read_bundle(path)
        return bundle, path.parent.parent if VERSION.fullmatch(path.name) and path.parent.name == bundle.name else path.parent
    model = discover(path.parent).get(path.name)
    if model is None:
        raise BundleError(f"{path} holds no bundle; expected {FILE_NAME} or folders of versions in it")
    if model.error:
        raise BundleError(model.error)
    return read(model, chosen(model)[-1]), path.parent


def quantize_bundle(path: Path, calibrate: Path, *, bound: float = AGREEMENT, most: int = MOST, half: bool = False,
                    every_file: bool = False, limits: PictureLimits | None = None, progress: Progress | None = None) -> Made:
    """Make the INT8 version of the bundle at `path` from the pictures (or .npz files of inputs) in the folder `calibrate`.

    Raises Invalid or BundleError with a sentence, OSError where nothing can be written; nothing is left behind then.
    """
    why = missing()
    if why:
        raise Invalid(why)
    tell = progress or (lambda done, of, stage: None)
    bundle, root = find_bundle(path)
    verify(bundle)
    source = bundle.files.get(("onnx", "fp32"))
    if source is None:
        raise BundleError(f"bundle {bundle.name!r} version {bundle.version} has no ONNX file in FP32 to begin with; it has "
                          f"{sorted(bundle.files) or 'no model files'}")
    described = make_backend("onnx").describe(replace(bundle, files={("onnx", "fp32"): source}))
    samples = read_samples(described, calibrate, most, every_file, limits or PictureLimits(), tell)
    work = Path(tempfile.mkdtemp(prefix="aisle-quantize-"))
    try:
        tool = OnnxTool(bundle.path(source), work, f"model file {bundle.name}/{bundle.version}/{source}", memory_limit())
        result = quantize(tool, samples, work, bound=bound, progress=tell)
        if half:
            tool.write_half(work / "fp16.onnx")
        fp32_ms, int8_ms = speeds((tool.run(None), tool.run(work / "cpu.onnx")), samples[0])
        tell(0, 1, "write")
        made = write_version(bundle, described, root, work, result, (fp32_ms, int8_ms), source, half)
        tell(1, 1, "write")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    sizes = {file: (made.root / file).stat().st_size for file in made.files.values()}
    return Made(made.name, made.version, str(made.root), f"{bundle.version}/{source}", result, fp32_ms, int8_ms, sizes)


def read_samples(bundle: Bundle, folder: Path, most: int, every_file: bool, limits: PictureLimits,
                 tell: Progress) -> list[Sample]:
    """Up to `most` samples of a folder, evenly over its names; Invalid names the file that cannot be one."""
    files = picture_files(folder, every_file)
    arrays = sorted(p for p in folder.iterdir() if p.suffix == ".npz" and p.is_file())
    if files and arrays:
        raise Invalid(f"{folder} holds both pictures and .npz files; calibrate with one kind")
    if not files and not arrays:
        others = sum(1 for p in folder.iterdir() if p.is_file())
        raise Invalid(f"{folder} holds no pictures and no .npz files of inputs ({others} other files); name the folder with "
                      "the pictures that the station really sees")
    found = files or arrays
    if len(found) > most:
        found = [found[i * len(found) // most] for i in range(most)]
    reader = picture_reader(bundle) if files else None
    samples = []
    for i, file in enumerate(found):
        if reader is None:
            samples.append(array_sample(bundle, file.name, load_arrays(file)))
        else:
            try:
                samples.append(reader(file.name, decode(file.read_bytes(), limits)))
            except Invalid as error:
                raise type(error)(f"picture {file.name}: {error.sentence}") from None
        tell(i + 1, len(found), "read")
    return samples


def load_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file; Invalid where it is damaged or holds Python objects."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        why = "it is none, or holds Python objects" if isinstance(error, ValueError) else error     # NumPy says: unpickle it
        raise Invalid(f"{file.name} cannot be read as an .npz file of arrays ({why}); write it again with "
                      "numpy.savez") from None


def speeds(runs: Sequence[Run], sample: Sample) -> tuple[float, ...]:
    """Median ms of CPU time of each, in turns, so that whatever else the machine does disturbs all alike."""
    spent: list[list[float]] = [[] for _ in runs]
    for turn in range(SPEED_TURNS):
        for run, times in zip(runs, spent, strict=True):
            start = time.process_time_ns()
            run(sample.feed)
            if turn > 1:
                times.append((time.process_time_ns() - start) / 1e6)
    return tuple(float(np.median(times)) for times in spent)


def write_version(bundle: Bundle, described: Bundle, root: Path, work: Path, result: Quantized, ms: tuple[float, ...],
                  source: str, half: bool) -> Bundle:
    """The next version: every file of the old one, the new files beside them, and what was measured."""
    stem = source.removesuffix(".onnx")
    new = {ARTEFACTS[kind]: f"{stem}.{kind}.onnx" for kind in result.kept}
    origins = {f"{stem}.{kind}.onnx": work / f"{kind}.onnx" for kind in result.kept}
    if half:
        new["tensorrt", "fp16"] = f"{stem}.fp16.onnx"
        origins[new["tensorrt", "fp16"]] = work / "fp16.onnx"
    dropped = {path for key, path in bundle.files.items() if key in {*ARTEFACTS.values(), ("tensorrt", "fp16")}}
    canary = {bundle.canary} if bundle.canary else set()
    kept = sorted(({*bundle.sha256} | {source, *bundle.files.values()} | canary) - dropped)
    files = {key: path for key, path in bundle.files.items() if path not in dropped} | new
    params = {**bundle.params, "quantized": report(bundle, result)}
    tensors = described if not (bundle.role != "model" and not bundle.inputs) else bundle
    made = replace(bundle, version=next_version(root, bundle.name), files=files, params=params,
                   inputs=tensors.inputs, outputs=tensors.outputs, max_batch=tensors.max_batch,
                   variants=table(bundle, result, ms))

    def write(folder: Path) -> tuple[str, ...]:
        for name in kept:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path(name), folder / name)
        for name, origin in origins.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin, folder / name)
        return (*kept, *origins)

    return publish(made, write, root)


def table(bundle: Bundle, result: Quantized, ms: tuple[float, ...]) -> tuple[Variant, ...]:
    """The accuracy-latency table: what the bundle had of other ways, and what was measured now."""
    on = probe().model
    rows = {("onnx", "fp32"): Variant("onnx", "fp32", on, round(ms[0], 3), agreement=1.0, max_error=0.0, mean_error=0.0)}
    for kind, judged in result.kept.items():
        backend, precision = ARTEFACTS[kind]
        speed = round(ms[1], 3) if kind == "cpu" else None
        rows[backend, precision] = Variant(backend, precision, on if speed else "", speed, agreement=round(judged.agreement, 6),
                                           max_error=round(judged.max_error, 6), mean_error=round(judged.mean_error, 6))
    made = {precision for _, precision in ARTEFACTS.values()}       # whatever runs these files answers otherwise now
    old = {(v.backend, v.precision): v for v in bundle.variants if v.precision not in made}
    return tuple((old | rows).values())


def report(bundle: Bundle, result: Quantized) -> dict[str, Any]:
    """What the bundle tells of its quantising."""
    cpu = result.kept["cpu"]
    return {"from_version": bundle.version, "calibrated_on": result.calibrated, "held_out": cpu.samples,
            "agreement": round(cpu.agreement, 6), "agreement_at_least": round(cpu.least, 6),
            "ranges": result.ranges, "looks_at_held_out": result.looks,
            "kept_in_float": [hurt.layer for hurt in result.floats], "head_in_float": list(result.head),
            "layers": result.layers, "dropped": dict(result.dropped)}
