"""Activations: y = f(x) between layers. A folder here is one, found by its name."""
