"""Spoils good pictures in small ways, to find out which measure sees faults on this part; sets no threshold."""

from __future__ import annotations

import cv2
import numpy as np


def _spot(shape: tuple[int, int], rng: np.random.Generator, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """A soft ellipse, float32 (h, w) 0..1, somewhere in the inner nine tenths, its axes that share of the longer side."""
    h, w = shape
    middle = np.array([rng.uniform(0.05, 0.95) * w, rng.uniform(0.05, 0.95) * h])
    axes = rng.uniform(low, high, 2) * max(h, w) / 2
    canvas = np.zeros(shape, np.uint8)
    cv2.ellipse(canvas, (np.round(middle * 16)).astype(int).tolist(), np.round(axes * 16).astype(int).tolist(),
                float(rng.uniform(0, 180)), 0, 360, 255, -1, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), 0.8).astype(np.float32) / 255, middle


def _paste(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A piece of the same picture lies where it does not belong."""
    cover, _ = _spot(picture.shape[:2], rng, 0.04, 0.10)
    h, w = picture.shape[:2]
    moved = np.roll(picture, (int(rng.integers(h // 8, h - h // 8)), int(rng.integers(w // 8, w - w // 8))), axis=(0, 1))
    return picture + cover[..., None] * (moved - picture)


def _line(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A scratch: a thin bright or dark line."""
    h, w = picture.shape[:2]
    canvas = np.zeros((h, w), np.uint8)
    start = np.array([rng.uniform(0.05, 0.95) * w, rng.uniform(0.05, 0.95) * h])
    angle = rng.uniform(0, np.pi) + np.cumsum(rng.normal(0, 0.15, 8))
    steps = rng.uniform(0.08, 0.25) * max(h, w) / 8 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.round((start + np.cumsum(steps, axis=0)) * 16).astype(np.int32)
    cv2.polylines(canvas, [points], False, 255, 1, cv2.LINE_AA, 4)
    change = rng.uniform(30, 80) * rng.choice([-1, 1])
    return picture + (canvas.astype(np.float32) / 255 * np.float32(change))[..., None]


def _stain(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A place becomes darker or brighter, perhaps of another colour."""
    cover, _ = _spot(picture.shape[:2], rng, 0.05, 0.12)
    change = rng.uniform(15, 45) * rng.choice([-1, 1]) * (1 + rng.uniform(-0.4, 0.4, 3))
    return picture + cover[..., None] * change.astype(np.float32)


def _smear(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What is there loses its detail: something is missing or covered."""
    cover, _ = _spot(picture.shape[:2], rng, 0.05, 0.12)
    soft = cv2.GaussianBlur(picture, (0, 0), max(picture.shape[:2]) / 40)
    return picture + cover[..., None] * (soft - picture)


KINDS = (_paste, _line, _stain, _smear)


def spoil(picture: np.ndarray, rng: np.random.Generator, kind: int) -> np.ndarray:
    """`picture`, uint8 BGR (h, w, 3), with one small fault of KINDS[kind]: the same type and shape."""
    return np.clip(KINDS[kind](picture.astype(np.float32), rng) + 0.5, 0, 255).astype(np.uint8)
