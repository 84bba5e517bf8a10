"""The networks, how they see an image, what they score, and where they run."""
