"""Measurements, always as a ratio against a named peer in the same run: `python -m aisle.bench NAME`."""
