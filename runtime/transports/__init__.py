"""Ways in: each turns what arrives into calls of served models and jobs."""
