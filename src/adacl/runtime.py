"""Score with an exported file, without PyTorch."""

from adacl.deploy.scorer import Scorer

__all__ = ["Scorer"]

Scorer.__module__ = __name__
