"""Data to train on: each has `load_data()`, which gives `(x_train, y_train), (x_test, y_test)` as NumPy arrays."""

from dnnkit.datasets import circles, digits, fashion_mnist, mnist

__all__ = ["circles", "digits", "fashion_mnist", "mnist"]
