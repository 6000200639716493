"""Lowering of a graph to stages and their inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from dnnkit.backends.stages import Activate, Dense, Op, Parameter, Stage
from dnnkit.graph.graph import Graph
from dnnkit.initializers import Shape
from dnnkit.layers.base import Layer, Reads

INPUT = 0
"""The value that is a program's input."""


class Origin(NamedTuple):
    """The path and layer that a stage comes from."""

    path: str
    layer: Layer


class Owner(NamedTuple):
    """A layer with stages: its input shape in its first call, and its parameters."""

    layer: Layer
    shape: Shape
    parameters: tuple[Parameter, ...]


class Stages(NamedTuple):
    """Stages in execution order, the values that each reads (numbered as in a program), and their origins.

    Stages that split a network's inputs or concatenate its outputs have no origin. `owners` maps paths to layers, in
    the order of their first calls.
    """

    stages: tuple[Stage, ...]
    sources: tuple[tuple[int, ...], ...]
    origins: tuple[Origin | None, ...]
    owners: Mapping[str, Owner]

    def before(self, value: int) -> tuple[tuple[Stage, ...], tuple[tuple[int, ...], ...]]:
        """Return the stages that a value depends on, and what they read; the last of them computes the value."""
        needed, left = set[int](), [value]
        while left:
            each = left.pop()
            if each > INPUT and each not in needed:
                needed.add(each)
                left += self.sources[each - 1]
        place = {INPUT: INPUT} | {each: number + 1 for number, each in enumerate(sorted(needed))}
        found = [(self.stages[each - 1], self.sources[each - 1]) for each in sorted(needed)]
        return tuple(stage for stage, _ in found), tuple(tuple(place[each] for each in reads) for _, reads in found)


class _Made(NamedTuple):
    stage: Stage
    reads: Reads
    origin: Origin | None


class Lowering:
    """Stages under construction; value numbers are independent of the execution order."""

    def __init__(self) -> None:
        self._made: dict[int, _Made] = {}
        self._order: list[int] = []
        self._calls = self._values = 0
        self._owners: dict[str, Owner] = {}
        self._columns: dict[int, Op] = {}
        self._taken: dict[int, int] = {}

    # -- for layers --------------------------------------------------------------------------------------------------

    def next_call(self) -> int:
        """Return the number of a layer call, which selects its random bits."""
        self._calls += 1
        return self._calls - 1

    def parameters(self, layer: Layer, path: str, shapes: tuple[Shape, ...], trainable: bool) -> tuple[Parameter, ...]:
        """Return the parameters of a layer called on values of these shapes."""
        is_trained, statistics = trainable and layer.trainable, layer.statistics
        found = tuple(
            Parameter(f"{path}/{part}", tuple(size), is_trained and part not in statistics, part in statistics)
            for part, (size, _) in layer.parameters_of(shapes).items()
        )
        self._owners.setdefault(path, Owner(layer, shapes[0], found))
        return found

    def add(self, stage: Stage, reads: Reads, path: str, layer: Layer) -> int:
        """Add a stage that reads these values; return the number of its output value."""
        return self._add(stage, reads, Origin(path, layer), len(self._order))

    # -- for graphs --------------------------------------------------------------------------------------------------

    def inputs(self, shapes: Sequence[Shape]) -> Reads:
        """Return the values of the network's inputs; several are columns of one value, extracted on first use."""
        if len(shapes) == 1:
            return (INPUT,)
        stop = 0
        for place, shape in enumerate(shapes):
            start, stop = stop, stop + prod(shape)
            self._columns[-1 - place] = Op("columns", stop - start, settings=(("start", start), ("stop", stop)))
        return tuple(self._columns)

    def call(self, graph: Graph, shapes: Sequence[Shape], reads: Reads, prefix: str, trainable: bool) -> Reads:
        """Add the calls of a graph applied to these values; return the values of its outputs."""
        values = list(reads)
        for step in graph.steps(shapes):
            given = tuple(values[value] for value in step.call.reads)
            values += step.layer.lower_call(self, prefix + step.name, step.shapes, given, trainable)
        return tuple(values[value] for value in graph.outputs)

    def activation(self, value: int) -> str:
        """Return the activation that computes the value, which a loss may fuse."""
        made = self._made.get(value)
        return made.stage.activation if made is not None and isinstance(made.stage, Dense | Activate) else "linear"

    def before_activation(self, value: int, is_read: bool) -> int:
        """Return the input of that activation, splitting a dense stage if others read its output (`is_read`)."""
        stage, reads, origin = self._made[value]
        if isinstance(stage, Activate):
            return reads[0]
        assert isinstance(stage, Dense)
        linear = replace(stage, activation="linear")
        if not is_read:
            self._made[value] = _Made(linear, reads, origin)
            return value
        before = self._add(linear, reads, origin, self._order.index(value))
        self._made[value] = _Made(Activate(stage.activation), (before,), origin)
        return before

    def readers(self, value: int) -> int:
        """Return the number of stages that read the value."""
        return sum(made.reads.count(value) for made in self._made.values())

    def join(self, values: Reads, features: int) -> int:
        """Concatenate these values."""
        return self._add(Op("concatenate", features), values, None, len(self._order))

    def leading_to(self, value: int) -> Stages:
        """Return the stages that the value depends on; the last of them computes it."""
        needed, left = set[int](), [value]
        while left:
            each = left.pop()
            if each in self._made and each not in needed:
                needed.add(each)
                left += self._made[each].reads
        order = [each for each in self._order if each in needed]
        place = {INPUT: INPUT} | {each: number + 1 for number, each in enumerate(order)}
        found = [self._made[each] for each in order]
        return Stages(
            tuple(made.stage for made in found),
            tuple(tuple(place[each] for each in made.reads) for made in found),
            tuple(made.origin for made in found),
            self._owners,
        )

    def _add(self, stage: Stage, reads: Reads, origin: Origin | None, place: int) -> int:
        if any(each < 0 for each in reads):
            before = len(self._order)
            reads = tuple(map(self.there, reads))
            place += len(self._order) - before
        self._values += 1
        self._made[self._values] = _Made(stage, reads, origin)
        self._order.insert(place, self._values)
        return self._values

    def there(self, value: int) -> int:
        """Return the value, extracting it now if it is one of several inputs."""
        if value >= 0:
            return value
        if value not in self._taken:
            self._taken[value] = self._add(self._columns[value], (INPUT,), None, len(self._order))
        return self._taken[value]
