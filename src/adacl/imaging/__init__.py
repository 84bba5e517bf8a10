"""Arithmetic of images: their form, tiles, blending, smoothing."""
