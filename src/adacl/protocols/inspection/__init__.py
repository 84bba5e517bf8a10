"""Experiments of inspection: which defects of known size and contrast a model finds."""
