"""Small deterministic models and pictures, so that tests and the demo download nothing."""
