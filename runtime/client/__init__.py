"""Asks an Aisle server, over its local lane or over HTTP, by the same calls: `Client`, and `AsyncClient` for asyncio."""

from .aio import AsyncClient
from .inspection import Inspection, Spot
from .results import Results
from .sync import Client
from .ways import Model

__all__ = ["AsyncClient", "Client", "Inspection", "Model", "Results", "Spot"]
