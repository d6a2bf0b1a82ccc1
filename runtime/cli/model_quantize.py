"""`aisle model quantize`: the INT8 version of a bundle, from the pictures that its station really sees."""

from __future__ import annotations

import argparse
import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING

from .outcome import refuse

if TYPE_CHECKING:
    from ...models.quantize import Quantized
    from ..quantizing import Made


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle model quantize`."""
    from ...models.bundle import AGREEMENT
    parser.add_argument("bundle", type=Path, help="a bundle's folder, or a model's folder (its newest version is meant)")
    parser.add_argument("--calibrate", type=Path, required=True, metavar="DIR",
                        help="folder with pictures that the station sees (or .npz files of inputs); a third is held out")
    parser.add_argument("--agree", type=float, default=AGREEMENT, metavar="SHARE",
                        help="least share of held-out verdicts that must be FP32's (default %(default)s)")
    parser.add_argument("--most", type=int, default=400, metavar="N", help="read at most so many files (default %(default)s)")
    parser.add_argument("--fp16", action="store_true", help="write an FP16 file for TensorRT too")
    parser.add_argument("--every-file", action="store_true", help="take every file as a picture, whatever its name")
    parser.add_argument("--max-megapixels", type=float, default=50.0, metavar="N", help="largest picture accepted")
    parser.add_argument("--json", action="store_true", help="print one JSON object and no progress")


def run(args: argparse.Namespace) -> int:
    """0 with a new version, 2 with a sentence where there is none."""
    from ...models.bundle import BundleError
    from ..errors import AisleError
    if not 0 < args.agree <= 1 or args.most < 8:
        return refuse("model quantize", args.json, "expected --agree above 0 and at most 1 and --most of at least 8, got "
                      f"{args.agree:g} and {args.most}", code="invalid")
    try:
        made = make(args)
    except AisleError as error:
        return refuse("model quantize", args.json, error.sentence, code=error.code)
    except BundleError as error:
        return refuse("model quantize", args.json, str(error), code="invalid")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "; free some space and quantise again" if full else ""
        sentence = f"the new version could not be written beside {args.bundle}: {error.strerror}{advice}"
        return refuse("model quantize", args.json, sentence, code="no_space" if full else "failed")
    print(json.dumps(made.as_json()) if args.json else plain(made))
    return 0


def make(args: argparse.Namespace) -> Made:
    """Quantise, with a progress bar unless JSON was asked for."""
    from ..pictures import PictureLimits
    from ..quantizing import quantize_bundle
    from .teach import Bar
    limits = PictureLimits(max_pixels=int(args.max_megapixels * 1e6))
    options = {"bound": args.agree, "most": args.most, "half": args.fp16, "every_file": args.every_file, "limits": limits}
    if args.json:
        return quantize_bundle(args.bundle, args.calibrate, **options)
    with Bar() as bar:
        return quantize_bundle(args.bundle, args.calibrate, **options, progress=bar.show)


def plain(made: Made) -> str:
    """The report in words."""
    result = made.result
    lines = [f"'{made.name}' version {made.version} is in {made.path} (from {made.source}).",
             f"Speed here, one row on one thread: FP32 {made.fp32_ms:.2f} ms, INT8 {made.int8_ms:.2f} ms: {made.ratio:.2f} "
             "times."]
    for kind, title in (("cpu", "INT8 for CPUs"), ("trt", "INT8 for TensorRT")):
        judged = result.kept.get(kind)
        if judged is None:
            lines.append(f"{title}: not written; {result.dropped.get(kind, '')}.")
            continue
        errors = f"{judged.max_error:.2%} at most, {judged.mean_error:.3%} in the mean"
        lines.append(f"{title}: {judged.agreement:.2%} of {judged.samples} held-out verdicts are FP32's (at least "
                     f"{judged.least:.1%} with 95 % confidence); errors {errors}, of the outputs' span.")
        if judged.wrong:
            lines.append(f"  other verdict: {', '.join(judged.wrong)}")
    lines += floats(result)
    lines.append(f"Calibrated on {result.calibrated} samples; ranges by {result.ranges}, biases set to be right in the mean; "
                 f"{result.tried} files tried, {result.looks} of them judged on the held-out samples.")
    return "\n".join(lines)


def floats(result: Quantized) -> list[str]:
    """Which layers are in float, and why."""
    lines = [f"Layers kept in float: {len(result.floats)} of {result.layers}."]
    lines += [f"  {hurt.layer}: {hurt.error:.1%} of the error that all layers make, {hurt.work:.1%} of their work"
              for hurt in result.floats]
    if result.head:
        lines.append(f"  always, behind the last pooling: {', '.join(result.head)}")
    return lines
