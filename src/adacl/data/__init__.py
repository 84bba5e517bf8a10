"""Reading images: files and folders, and the official formats of the benchmark data sets."""
