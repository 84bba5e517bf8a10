"""Models: header, file, threshold, scoring, and the description shown to users."""
