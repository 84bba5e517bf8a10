"""A model where it is used: opened from either kind of file, exported, and run without PyTorch."""
