"""The tensors of a job that looks at one picture: encoded, or as pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ...models.bundle import TensorSpec
from ..errors import Invalid
from ..pictures import Picture

INPUTS = (TensorSpec("IMAGE", "bytes", (1,), optional=True), TensorSpec("PIXELS", "uint8", (None, None, 3), optional=True))


def picture(inputs: Mapping[str, np.ndarray], decode: Callable[..., Picture]) -> Picture:
    """The picture, as small as the job allows: one of IMAGE (bytes of a JPEG or PNG) and PIXELS. Invalid for none or both."""
    given = [name for name in ("IMAGE", "PIXELS") if name in inputs]
    if len(given) != 1:
        raise Invalid(f"expected one of the inputs IMAGE (bytes of a JPEG or PNG) and PIXELS (uint8 height x width x 3, BGR), "
                      f"got {' and '.join(given) or 'neither'}")
    value = inputs[given[0]]
    if given[0] == "PIXELS":
        if value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3 or 0 in value.shape:
            raise Invalid(f"expected input PIXELS uint8 (height, width, 3), got {value.dtype} {value.shape}")
        return Picture(value, (value.shape[0], value.shape[1]))
    if value.shape != (1,):
        raise Invalid(f"expected input IMAGE to hold one element, the bytes of one picture, got shape {value.shape}")
    encoded = value[0]
    return decode(encoded.encode() if isinstance(encoded, str) else bytes(encoded))
