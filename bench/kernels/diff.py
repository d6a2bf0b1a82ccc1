"""`find_shift` and `diff` against the same steps in OpenCV and NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from ...kernels.diff import board, diff, find_shift
from ..report import Options, Row
from .timing import Goal, interleaved, row, seconds

BAND, REACH, OPENING, SEARCH = 40, 2, 1, 3


def opencv_shift(golden: np.ndarray, test: np.ndarray) -> tuple[int, int]:
    """Every shift in turn: cv2.norm L1 of two views."""
    h, w = golden.shape
    middle = golden[SEARCH:h - SEARCH, SEARCH:w - SEARCH]
    sums = {(dy, dx): cv2.norm(test[SEARCH + dy:h - SEARCH + dy, SEARCH + dx:w - SEARCH + dx], middle, cv2.NORM_L1)
            for dy in range(-SEARCH, SEARCH + 1) for dx in range(-SEARCH, SEARCH + 1)}
    return min(sums, key=lambda s: sums[s])


def opencv_diff(golden: np.ndarray, test: np.ndarray, shift: tuple[int, int]) -> np.ndarray:
    """cv2.erode and dilate for the bounds, saturating subtractions, compare, open; 8 bits throughout."""
    square = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    down, right = shift
    h, w = golden.shape
    here = np.s_[max(0, -down):min(h, h - down), max(0, -right):min(w, w - right)]
    there = np.s_[max(0, down):min(h, h + down), max(0, right):min(w, w + right)]
    golden_low, golden_high = cv2.erode(golden, square)[here], cv2.dilate(golden, square)[here]
    test_low, test_high = cv2.erode(test, square)[there], cv2.dilate(test, square)[there]
    g, t = golden[here], test[there]
    darker = cv2.max(cv2.subtract(golden_low, t), cv2.subtract(g, test_high))
    lighter = cv2.max(cv2.subtract(t, golden_high), cv2.subtract(test_low, g))
    out = np.zeros_like(golden)
    marks = cv2.threshold(darker, BAND, 1, cv2.THRESH_BINARY)[1]
    marks |= cv2.threshold(lighter, BAND, 2, cv2.THRESH_BINARY)[1]
    out[here] = marks
    small = np.ones((2 * OPENING + 1, 2 * OPENING + 1), np.uint8)
    for bit in (1, 2):
        plane = cv2.morphologyEx(out & bit, cv2.MORPH_OPEN, small)
        out[...] = (out & (3 - bit)) | plane
    return out


def pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A drawn board and the next one of the line: moved by (2, -1), with a gap, a bridge and a hole."""
    rng = np.random.default_rng(0)
    golden, test = board(rng, size, size), np.roll(board(rng, size, size), (2, -1), (0, 1))
    test[100:108, 200:230], test[300:309, 300:306], test[400:420, 90:100] = 200, 40, 40
    return golden, test


def rows(options: Options) -> Iterator[Row]:
    """640 x 640, all steps and each of the two."""
    case = "diff 640x640"
    if not options.wants(case):
        return
    golden, test = pair(640)
    out = np.empty_like(golden)
    shift = find_shift(golden, test, reach=SEARCH)
    diff(golden, test, out=out, band=BAND, reach=REACH, opening=OPENING, shift=shift)
    same = shift == opencv_shift(golden, test)
    apart = int((out != opencv_diff(golden, test, shift)).sum())

    def ours() -> None:
        diff(golden, test, out=out, band=BAND, reach=REACH, opening=OPENING, shift=find_shift(golden, test, reach=SEARCH))
    found = interleaved({
        "ours": ours, "opencv": lambda: opencv_diff(golden, test, opencv_shift(golden, test)),
        "shift": lambda: find_shift(golden, test, reach=SEARCH), "opencv shift": lambda: opencv_shift(golden, test),
        "diff": lambda: diff(golden, test, out=out, band=BAND, reach=REACH, opening=OPENING, shift=shift),
        "opencv diff": lambda: opencv_diff(golden, test, shift)}, seconds(options.quick))
    yield row(f"{case}, shift search +-{SEARCH} and marks", found["ours"], "OpenCV", found["opencv"],
              goal=Goal("<= 2.5 ms", most_us=2500),
              note=f"same shift: {same}; pixels that differ from OpenCV's marks: {apart}, of {int((out != 0).sum())} marked")
    yield row(f"{case}, shift search alone", found["shift"], "cv2.norm of 49 views", found["opencv shift"])
    yield row(f"{case}, marks alone", found["diff"], "OpenCV", found["opencv diff"])
