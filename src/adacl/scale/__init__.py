"""Resumable grids of many runs."""
