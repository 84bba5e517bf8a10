"""A model: its parts, its file, its threshold, how it scores, and what it says of itself."""
