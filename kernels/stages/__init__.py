"""Kinds of stages: operations on one or several values (B, I_k), giving one (B, O). A folder here is one.

How to add one: README.md here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.philox.reference import random_bits

Settings = Mapping[str, Any]


@dataclass
class Context:
    """What a stage knows of the pass that it is part of, besides its inputs.

    Attributes:
        training: whether units are dropped, noise is added, and moments of the batch count.
        layer, seed, step: what selects its random bits.
        statistics: where it writes, while training, the new values of its statistics, by the parameter's number.
    """

    training: bool
    layer: int = 0
    seed: int = 0
    step: int = 0
    statistics: dict[int, Array] = field(default_factory=dict)

    def draw(self, count: int, purpose: int, xp: Namespace) -> Array:
        """Random bits of this stage and step, uint32 (count,); no two kinds have the same `purpose`."""
        return random_bits(0, count, self.layer, self.step, self.seed, purpose, xp)


@dataclass(frozen=True)
class Example:
    """A stage of a kind, to be tested with: its gradients are compared with differences, on every backend.

    Attributes:
        inputs: features of each value that it reads.
        features: of what it gives.
        parameters: the shape of each, by name.
        settings: by name.
        statistics: the names of those parameters that are statistics.
        x: what its inputs are, "normal", or whole numbers as "categories".
        positive: the names of parameters that are above 0.
    """

    inputs: tuple[int, ...]
    features: int
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    statistics: tuple[str, ...] = ()
    x: str = "normal"
    positive: tuple[str, ...] = ()


Size = Callable[[tuple[int, ...], int, Settings], int]
"""How many numbers of something a stage needs, from the features of its inputs and of its output, and its settings."""


@dataclass(frozen=True)
class Opcodes:
    """What the Numba engine must know of a kind; README.md says what each means, and by which name a folder gives it.

    Workers that share a batch by its rows meet between two opcodes of `forward`, and between two of `backward`.
    """

    forward: tuple[str, ...]
    predict: tuple[str, ...]
    backward: tuple[str, ...]
    after: tuple[str, ...]
    numbers: Callable[[Settings], Sequence[float]]
    saves: Size
    keeps: Size
    sums: Size
    moves: Size
    multiplies: Size


@dataclass(frozen=True)
class Kind:
    """What a folder here says.

    `forward(xs, parameters, settings, context, xp) -> (y, saved)` and `backward(dy, saved, parameters, settings,
    needs_dx, xp) -> (dxs, dparameters)` are its reference.
    """

    name: str
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., tuple[Sequence[Array | None], Sequence[Array | None]]]
    examples: tuple[Example, ...]
    opcodes: Opcodes


@cache
def kind(name: str) -> Kind:
    """The kind of that name; raises `UnknownName` with the names there are."""
    package = registry.find(name, "stage")
    reference = registry.version(name, "reference")
    forward = tuple(getattr(package, "FORWARD", (name,)))
    opcodes = Opcodes(
        forward,
        tuple(getattr(package, "PREDICT", forward)),
        tuple(getattr(package, "BACKWARD", (f"{name}_backward",))),
        tuple(getattr(package, "AFTER", ())),
        getattr(package, "numbers", _numbers),
        *(getattr(package, size, _none) for size in ("saves", "keeps", "sums", "moves", "multiplies")),
    )
    return Kind(name, reference.forward, reference.backward, tuple(package.EXAMPLES), opcodes)


def _none(inputs: tuple[int, ...], features: int, settings: Settings) -> int:
    return 0


def _numbers(settings: Settings) -> list[float]:
    """The settings that are numbers, and the numbers in those that are tuples, in the order of their names."""
    found: list[float] = []
    for _, value in sorted(settings.items()):
        found += [float(one) for one in (value if isinstance(value, tuple) else (value,)) if not isinstance(one, str)]
    return found
