"""The paper's experiments on video (4.2)."""
