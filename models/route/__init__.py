"""Maps and the ways through them: a map bundle is built once from streets, floors or lists, and then asked."""

from .answers import Alternative, Place, Reach, Route
from .build import build_map, save_map
from .floor import Floor
from .network import Network, load, save
from .router import Router, open_any, open_map
from .snap import Snap

__all__ = [
    "Alternative", "Floor", "Network", "Place", "Reach", "Route", "Router", "Snap", "build_map", "load", "open_any",
    "open_map", "save", "save_map",
]
