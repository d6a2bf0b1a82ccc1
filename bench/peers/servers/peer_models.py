"""What every peer serves: the same files, the same calls. Runs in the peer's environment, without Aisle."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

cv2.setNumThreads(1)


def _session(name: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(Path(os.environ["PEER_MODELS"]) / name), options, providers=["CPUExecutionProvider"])


_IDENTITY, _NET = _session("identity.onnx"), _session("net.onnx")
_INPUT = _NET.get_inputs()[0].name
_SIDE = _NET.get_inputs()[0].shape[2]


def identity(body: bytes) -> bytes:
    """16 float32 in, the same out."""
    return _IDENTITY.run(None, {"INPUT0": np.frombuffer(body, np.float32).reshape(1, -1)})[0].tobytes()


def net(body: bytes) -> bytes:
    """A float32 tensor (3, side, side) in, the scores out."""
    return _NET.run(None, {_INPUT: np.frombuffer(body, np.float32).reshape(1, 3, _SIDE, _SIDE)})[0].tobytes()


def image(body: bytes) -> bytes:
    """A JPEG in, the five best scores out, as JSON."""
    picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    small = cv2.cvtColor(cv2.resize(picture, (_SIDE, _SIDE)), cv2.COLOR_BGR2RGB)
    tensor = np.ascontiguousarray((small.astype(np.float32) / 58 - 2).transpose(2, 0, 1))[None]
    scores = _NET.run(None, {_INPUT: tensor})[0][0]
    best = np.argsort(scores)[::-1][:5]
    return json.dumps([{"index": int(i), "score": float(scores[i])} for i in best]).encode()


CALLS = {"identity": identity, "net": net, "image": image}
