"""Activations that have no folder: defined while the program runs, each version given as code.

Whoever defines one names it by its content (see `dnnkit.formula`), so a name never changes its meaning and what was
compiled for it stays right.
"""

from dataclasses import dataclass
from types import ModuleType

DEFINED: dict[str, "Definition"] = {}
"""By name; it only grows."""


@dataclass(frozen=True)
class Definition:
    """An elementwise activation's versions, with what its folder's files would hold.

    `reference` has `forward(x, xp)` and `derivative(x, xp)` or `derivative_from_output(y, xp)`, as `saves` says; `cpu`
    and `gpu` are the text of `cpu.py` and `gpu.cu`, with functions of those names.
    """

    saves: str
    reference: ModuleType
    cpu: str
    gpu: str
    numpy_source: tuple[str, ...]


def define(name: str, definition: Definition) -> None:
    """From now on the name stands for this activation in every kernel's lookup."""
    DEFINED.setdefault(name, definition)
