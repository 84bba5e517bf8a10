"""The experiments of the paper, each a grid of independent cells, safe to interrupt."""
