"""What the CUDA versions share: sources, launches, and the passes that activations and losses have in common."""
