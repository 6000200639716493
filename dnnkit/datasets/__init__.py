"""Data to train on: each has `load_data()`, which gives `(x_train, y_train), (x_test, y_test)` as NumPy arrays.

An image data set also has `LARGEST_VALUE` of its pixels and `CLASS_NAMES`, and, where that differs from 10, `EPOCHS`
after which a small network has levelled off: `dnnkit train` takes it by its name.
"""

from typing import Any

from dnnkit.datasets import circles, digits, fashion_mnist, mnist
from dnnkit.registry import Registry

DATASETS: Registry[Any] = Registry(
    "data set", "a module or object with load_data()", lambda thing: hasattr(thing, "load_data"), plural="datasets"
)
DATASETS.add("circles", circles)
DATASETS.add("digits", digits)
DATASETS.add("fashion_mnist", fashion_mnist)
DATASETS.add("mnist", mnist)

__all__ = ["DATASETS", "circles", "digits", "fashion_mnist", "mnist"]
