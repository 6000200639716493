"""Activations y = f(x), one per folder, found by the folder's name."""
