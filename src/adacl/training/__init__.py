"""From normal samples to a model: splits, batches, the loop, the threshold."""
