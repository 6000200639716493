"""Data to train on: each has `load_data()`, which gives `(x_train, y_train), (x_test, y_test)` as NumPy arrays."""

from dnnkit.datasets import digits, fashion_mnist, mnist

__all__ = ["digits", "fashion_mnist", "mnist"]
