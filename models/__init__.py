"""What a model is and how one is made; nothing here answers a request."""
