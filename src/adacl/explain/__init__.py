"""Explanations of scores: anomaly maps, and pictures of them."""
