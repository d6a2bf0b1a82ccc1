"""What we take from an OpenStreetMap file, whichever form it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ATTRIBUTION = "(c) OpenStreetMap contributors, ODbL 1.0"
NODE_KEYS = ("barrier", "kerb", "access", "foot", "bicycle", "vehicle", "motor_vehicle", "motorcar")
Progress = Callable[[float], None]         # the part (0 to 1) of the file that was read


@dataclass
class OsmData:
    """Nodes with their places in degrees, the ways that are streets, the relations that forbid turns."""

    node_id: np.ndarray
    lat: np.ndarray
    lon: np.ndarray
    node_tags: dict[int, dict[str, str]] = field(default_factory=dict)          # barriers and kerbs only
    ways: list[tuple[int, np.ndarray, dict[str, str]]] = field(default_factory=list)
    restrictions: list[tuple[int, list[tuple[str, int, str]], dict[str, str]]] = field(default_factory=list)


class OsmError(ValueError):
    """A file that cannot be read as OpenStreetMap data; the sentence says where and why."""


def wanted_node(tags: dict[str, str]) -> bool:
    """Whether a node's tags may stop somebody."""
    return "barrier" in tags or "kerb" in tags


def restricts(tags: dict[str, str]) -> bool:
    """Whether a relation is a turn restriction."""
    return tags.get("type", "").startswith("restriction")
