"""dnnkit: train dense neural networks at the speed of the machine, on swappable backends.

import dnnkit as dk

(x, y), (x_test, y_test) = dk.datasets.digits.load_data()
net = dk.Sequential([dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(64, activation="relu"),
                     dk.Dense(10, activation="softmax")], seed=0)
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, epochs=10, validation_data=(x_test, y_test))
"""

import importlib
import re
from pathlib import Path
from typing import Any

from dnnkit._version import __version__ as __version__


def _places() -> tuple[dict[str, str], list[str]]:
    """Return {name: its module}, and the modules whose names are all exported.

    Both come from `__init__.pyi`, as in SPEC 1 of Scientific Python: modules are imported lazily, on first use.
    """
    stub = Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    lines = re.findall(r"^from (\S+) import (?:\w+ as )?(\S+)$", stub, re.MULTILINE)
    return {name: module for module, name in lines if name != "*"}, [module for module, name in lines if name == "*"]


_PLACES, _WHOLE = _places()


def __getattr__(name: str) -> Any:
    module = _PLACES.get(name)
    if name == "__all__":
        found: Any = sorted({*_PLACES, *(each for whole in _WHOLE for each in importlib.import_module(whole).__all__)})
    elif module == __name__:
        return importlib.import_module(f"{module}.{name}")
    elif module is not None:
        found = getattr(importlib.import_module(module), name)
    else:
        found = None if name.startswith("_") else _among_all(name)
        if found is None:
            from dnnkit.instead import no_attribute

            raise no_attribute(__name__, name, __name__, __dir__)
    globals()[name] = found
    return found


def _among_all(name: str) -> Any:
    """Return an object from the modules whose names are all exported; None if none has that name."""
    for module in map(importlib.import_module, _WHOLE):
        if name in module.__all__:
            return getattr(module, name)
    return None


def __dir__() -> list[str]:
    return list(__getattr__("__all__"))
