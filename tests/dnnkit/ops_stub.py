"""Write `dnnkit/ops.pyi`, the signatures of what `dnnkit.ops` makes on demand: `python -m tests.dnnkit.ops_stub`.

Built-in activations and losses have their arguments there; those that users register are any callable.
"""

import inspect
import sys
from pathlib import Path

from dnnkit import ops
from dnnkit.base_loss import LOSSES

PATH = Path(ops.__file__).with_suffix(".pyi")

HEAD = '''"""Signatures of the functions of `dnnkit.ops`, for editors and type checkers.

Written by `python -m tests.dnnkit.ops_stub`, from the registries of activations and losses.
"""

from collections.abc import Callable
from typing import Any

Array = Any
"""An array of the current backend."""

def __getattr__(name: str) -> Callable[..., Any]:
    """Activations and losses that are registered by users."""
'''


def options(kind: type) -> str:
    """Return the keyword arguments of a loss."""
    found = []
    for parameter in inspect.signature(kind).parameters.values():
        default = parameter.default
        assert default is inspect.Parameter.empty or isinstance(default, bool | float | int | str | None), kind
        given = "" if default is inspect.Parameter.empty else f" = {default!r}"
        found.append(f"{parameter.name}: {type(default).__name__ if given and default is not None else 'Any'}{given}")
    return ", *, " + ", ".join(found) if found else ""


def line(name: str) -> str:
    """Return the declaration of a function, with its docstring."""
    function = getattr(ops, name)
    if name in ops.__all__:
        given = str(inspect.signature(function))
    elif (base := name.removesuffix("_backward")) in LOSSES:
        given = f"(y_true: Any, y_pred: Any{options(LOSSES[base])}) -> Array"
    else:
        given = "(x: Any) -> Array"
    first = (inspect.getdoc(function) or "").splitlines()[0].split("; options")[0].rstrip(".") + "."
    return f'def {name}{given}:\n    """{first}"""\n'


def text() -> str:
    """Return the whole file."""
    return HEAD + "\n" + "\n".join(line(name) for name in dir(ops))


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PATH).write_text(text(), encoding="utf-8")
