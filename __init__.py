"""Aisle: an inference serving runtime for shops and warehouses."""

__version__ = "0.1.0"
