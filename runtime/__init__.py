"""The server: models on disk become answers over HTTP."""
