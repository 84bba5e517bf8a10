"""Anomalies in video: which tiles of a frame are worth a look, and how anomalous they are."""
