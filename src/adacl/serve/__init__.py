"""A service that scores images over HTTP, and its web page; PyTorch only to train."""
