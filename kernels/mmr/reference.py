"""The plain version of `mmr`, in NumPy."""

from __future__ import annotations

import numpy as np


def mmr(worth: np.ndarray, alike: np.ndarray | None, codes: np.ndarray | None, caps: np.ndarray | None, weight: float,
        begun: int, out: np.ndarray) -> int:
    """See the package."""
    left = np.where(np.isnan(worth), -np.inf, worth)
    nearest = np.zeros(len(worth))
    chosen: list[int] = []
    for at in range(len(out)):
        place = int(out[at]) if at < begun else int((left - weight * nearest).argmax())
        if at >= begun and left[place] == -np.inf:
            break
        chosen.append(place)
        left[place] = -np.inf
        if alike is not None:
            nearest = np.maximum(nearest, alike[place])
        for row, cap in zip(() if codes is None else codes, () if caps is None else caps, strict=True):
            if cap and row[place] and (row[chosen] == row[place]).sum() >= cap:
                left[row == row[place]] = -np.inf
    out[:len(chosen)], out[len(chosen):] = chosen, -1
    return len(chosen)
