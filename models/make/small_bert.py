"""A small BERT with random weights as files, so that the way of text encoders is tested without downloading one."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
VOCABULARY = (*MARKS, *LETTERS, *(f"##{c}" for c in LETTERS), ".", ",", "-", "shoe", "rain", "雨")
WIDTH, MIDDLE, LAYERS, HEADS = 24, 48, 2, 3
CONFIG = {"model_type": "bert", "hidden_act": "gelu", "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
          "hidden_size": WIDTH, "layer_norm_eps": 1e-12}


def weights(seed: int = 3) -> dict[str, np.ndarray]:
    """The arrays of it by the names that BERT gives them, float32."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(VOCABULARY), WIDTH), "embeddings.position_embeddings.weight": (64, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH), "embeddings.LayerNorm.weight": (WIDTH,),
        "embeddings.LayerNorm.bias": (WIDTH,)}
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        linear = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linear |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (MIDDLE, WIDTH),
            "output.dense": (WIDTH, MIDDLE)}
        for name, shape in linear.items():
            shapes |= {f"{at}.{name}.weight": shape, f"{at}.{name}.bias": shape[:1]}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{at}.{name}.weight": (WIDTH,), f"{at}.{name}.bias": (WIDTH,)}
    return {name: (rng.standard_normal(shape) * 0.3 + ("LayerNorm.weight" in name)).astype(np.float32)
            for name, shape in shapes.items()}


def safetensors(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays in the format of that name."""
    head, body = {}, b""
    for name, array in arrays.items():
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


def write(folder: Path) -> None:
    """config.json, vocab.txt and model.safetensors."""
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    (folder / "model.safetensors").write_bytes(safetensors(weights()))
