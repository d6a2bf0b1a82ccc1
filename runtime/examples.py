"""Makes a bundle that really classifies: a network of models/make/nets.py with a head fitted on drawn textures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..edge_devices.profile import DeviceProfile
from ..models.bundle import Bundle, TensorSpec
from ..models.calibrate import picture_spec
from ..models.inspect.network import feed
from ..models.inspect.publish import publish
from ..models.make import nets
from .backends import make_backend
from .pictures import encode_png
from .versions import next_version

LEARNT = 24            # pictures of each texture that the head is fitted on
SEED = 1000            # pictures that are written for calibrating begin here: none of them was learnt
LICENCE = "made by models/make/nets.py: random weights and drawn textures; no rights of others"
Progress = Callable[[int, int, str], None]


def make_example(root: Path, name: str, kind: str, size: int = 224, *, width: int = 32, learnt: int = LEARNT,
                 progress: Progress | None = None) -> Bundle:
    """Write the next version of root/NAME, a classifier of textures. The same arguments make the same bundle."""
    tell = progress or (lambda done, of, stage: None)
    picture = {"input": "image", "height": size, "width": size, "scale": [1 / 58] * 3, "bias": [-2.0] * 3}
    image = TensorSpec("image", "float32", (3, size, size))
    scores = TensorSpec("scores", "float32", (len(nets.TEXTURES),), labels=nets.TEXTURES)
    bundle = Bundle(name, next_version(root, name), "classifier", root, (image,), (scores,), {("onnx", "fp32"): "model.onnx"},
                    max_batch=8, params={"picture": picture}, licence=LICENCE)
    with tempfile.TemporaryDirectory() as folder:
        file = nets.features(Path(folder) / "model.onnx", kind, size, width)
        body = Bundle("body", "1", "model", file.parent, files={("onnx", "fp32"): file.name})
        rows, labels = _features(body, bundle, learnt, tell)

    def write(target: Path) -> tuple[str, ...]:
        head = nets.fit(rows, labels, len(nets.TEXTURES))
        return (nets.classifier(target / "model.onnx", kind, head, size, width).name,)
    return publish(bundle, write, root)


def _features(body: Bundle, bundle: Bundle, learnt: int, tell: Progress) -> tuple[np.ndarray, list[int]]:
    """What the body sees in `learnt` pictures of each texture, and which texture each was."""
    backend = make_backend("onnx")
    session: Any = backend.open(backend.describe(body), DeviceProfile("example"))
    spec = picture_spec(bundle, bundle.params["picture"])
    rows, labels = [], []
    for i in range(learnt):
        for label, kind in enumerate(nets.TEXTURES):
            row = session.row(0)
            feed(nets.texture(kind, i), spec, row["image"])
            session.run(1)
            rows.append(row["features"].copy())
            labels.append(label)
            tell(len(rows), learnt * len(nets.TEXTURES), "learn")
    session.close()
    return np.stack(rows), labels


def write_pictures(folder: Path, each: int = 12, *, progress: Progress | None = None) -> int:
    """Write `each` new pictures of every texture as PNG; how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for i in range(each):
        for kind in nets.TEXTURES:
            (folder / f"{kind}-{i:03d}.png").write_bytes(encode_png(nets.texture(kind, SEED + i)))
            count += 1
            if progress:
                progress(count, each * len(nets.TEXTURES), "draw")
    return count
