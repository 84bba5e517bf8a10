"""Experiments of the paper, each a set of independent cells that a kill cannot spoil."""
