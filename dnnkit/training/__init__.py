"""The training loop behind `fit`: epochs, sample order, progress, History, checkpoints, interrupts."""
