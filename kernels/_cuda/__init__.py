"""Shared machinery of the CUDA versions: sources, launches, and the passes common to activations and losses."""
