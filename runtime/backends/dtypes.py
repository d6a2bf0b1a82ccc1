"""NumPy types of the memory behind our element types."""

from __future__ import annotations

from typing import Any

import numpy as np

# bfloat16 has no NumPy type: its 16 bits travel as uint16.
MEMORY: dict[str, Any] = {
    "bool": np.bool_, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32, "uint64": np.uint64,
    "int8": np.int8, "int16": np.int16, "int32": np.int32, "int64": np.int64,
    "float16": np.float16, "float32": np.float32, "float64": np.float64, "bfloat16": np.uint16,
}
