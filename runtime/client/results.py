"""What comes back of one inference: the outputs by name, and which variant of the model gave them."""

from __future__ import annotations

import numpy as np


class Results(dict[str, np.ndarray]):
    """Arrays by output name. `variant` is what answered ("onnx int8"); empty for a job without a network."""

    def __init__(self, variant: str = "") -> None:
        super().__init__()
        self.variant = variant
