"""Data sets: each has `load_data()`, which returns `(x_train, y_train), (x_test, y_test)` as NumPy arrays.

An image data set also has `LARGEST_VALUE` of its pixels and `CLASS_NAMES`, and, if it differs from 10, `EPOCHS`, after
which the loss of a small network has levelled off; `dnnkit train` accepts it by name.
"""

from typing import TYPE_CHECKING, Any

from dnnkit.namespaces import open_namespace
from dnnkit.registry import Lazy, Registry

if TYPE_CHECKING:
    from dnnkit.datasets import circles, digits, fashion_mnist, mnist

DATASETS: Registry[Any] = Registry(
    "data set", "a module or object with load_data()", lambda thing: hasattr(thing, "load_data"), plural="datasets"
)

__all__ = ["DATASETS", "circles", "digits", "fashion_mnist", "mnist"]

for _name in __all__[1:]:
    DATASETS.add(_name, Lazy(f"{__name__}.{_name}"))
open_namespace(__name__, DATASETS)
