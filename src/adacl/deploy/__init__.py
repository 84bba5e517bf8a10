"""A model without PyTorch: the exported graph, the engines that run it, and what scores with it."""
