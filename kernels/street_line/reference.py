"""The plain version of `street_line`."""

from __future__ import annotations

import numpy as np

LIMIT = 2.0**47


def follow(edges: np.ndarray, tail: np.ndarray, head: np.ndarray, node_x: np.ndarray, node_y: np.ndarray, first: np.ndarray,
           shape_x: np.ndarray, shape_y: np.ndarray, out: np.ndarray) -> int:
    points: list[tuple[float, float]] = []
    for place, edge in enumerate(edges.tolist()):
        if not 0 <= edge < len(tail):
            return place
        begin, end, ends = int(first[edge]), int(first[edge + 1]), (int(tail[edge]), int(head[edge]))
        if not 0 <= begin <= end <= len(shape_x) or not all(0 <= n < len(node_x) for n in ends):
            return place
        nodes = [(float(node_x[n]), float(node_y[n])) for n in ends]
        inner = zip(shape_x[begin:end].tolist(), shape_y[begin:end].tolist(), strict=True)
        points += [*(nodes[:1] if not place else ()), *inner, nodes[1]]
    if len(points) != len(out):
        return len(edges)
    out[:] = np.array(points, np.float64).reshape(-1, 2)
    return -1


def encode(points: np.ndarray, scale: float, out: np.ndarray) -> int:
    made, last = bytearray(), [0, 0]
    for place, (x, y) in enumerate(points.tolist()):
        for k, value in enumerate((y * scale, x * scale)):
            if not abs(value) < LIMIT:
                return -1 - place
            step, last[k] = round(value) - last[k], round(value)
            number = ~(step << 1) if step < 0 else step << 1
            while number >= 32:
                made.append((number & 31 | 32) + 63)
                number >>= 5
            made.append(number + 63)
    out[:len(made)] = np.frombuffer(made, np.uint8)
    return len(made)
