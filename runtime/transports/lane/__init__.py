"""The local lane: tensors in memory that a client shares, small messages on a Unix socket; see docs/lane.md."""

from .listener import Lane

__all__ = ["Lane"]
