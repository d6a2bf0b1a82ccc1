"""Recommending from what a visitor looked at: fitting on interactions, measuring, and what a fitted recommender is."""
