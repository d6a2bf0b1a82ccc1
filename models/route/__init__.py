"""Maps and the ways through them: a map bundle is built once from streets, floors or lists, and then asked."""

from .answers import Alternative, Place, Reach, Route
from .network import Network, load, save
from .router import Router, open_map
from .snap import Snap

__all__ = ["Alternative", "Network", "Place", "Reach", "Route", "Router", "Snap", "load", "open_map", "save"]
