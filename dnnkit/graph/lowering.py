"""From a graph to the stages that backends run, and what each of them reads."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from dnnkit.backends.stages import Activate, Dense, Op, Parameter, Stage
from dnnkit.graph.graph import Graph
from dnnkit.initializers import Shape
from dnnkit.layers.base import Layer, Reads

INPUT = 0
"""The value that a program is given."""


class Origin(NamedTuple):
    """Where a stage comes from: the layer's path, and the layer."""

    path: str
    layer: Layer


class Owner(NamedTuple):
    """A layer that stages come from: the shape of a sample that comes to it in its first call, and its parameters."""

    layer: Layer
    shape: Shape
    parameters: tuple[Parameter, ...]


class Stages(NamedTuple):
    """Stages in the order in which they run, the values that each reads, counted as in a program, and their origins.

    What takes a network's inputs apart, and puts its outputs side by side, comes from no layer. `owners` are the layers
    by their paths, in the order of their first calls.
    """

    stages: tuple[Stage, ...]
    sources: tuple[tuple[int, ...], ...]
    origins: tuple[Origin | None, ...]
    owners: Mapping[str, Owner]

    def before(self, value: int) -> tuple[tuple[Stage, ...], tuple[tuple[int, ...], ...]]:
        """Those that a value comes of, and what they read; it is what the last of them gives."""
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
    """Stages as far as they are there; each gives a value, of which the number says nothing about its place."""

    def __init__(self) -> None:
        self._made: dict[int, _Made] = {}
        self._order: list[int] = []
        self._calls = self._values = 0
        self._owners: dict[str, Owner] = {}
        self._columns: dict[int, Op] = {}
        self._taken: dict[int, int] = {}

    # -- for layers --------------------------------------------------------------------------------------------------

    def next_call(self) -> int:
        """The number of a call of a layer, which selects its random bits."""
        self._calls += 1
        return self._calls - 1

    def parameters(self, layer: Layer, path: str, shapes: tuple[Shape, ...], trainable: bool) -> tuple[Parameter, ...]:
        """Those of a layer that is called on values of these shapes."""
        is_trained, statistics = trainable and layer.trainable, layer.statistics
        found = tuple(
            Parameter(f"{path}/{part}", tuple(size), is_trained and part not in statistics, part in statistics)
            for part, (size, _) in layer.parameters_of(shapes).items()
        )
        self._owners.setdefault(path, Owner(layer, shapes[0], found))
        return found

    def add(self, stage: Stage, reads: Reads, path: str, layer: Layer) -> int:
        """Add a stage that reads these values; the number of the value that it gives."""
        return self._add(stage, reads, Origin(path, layer), len(self._order))

    # -- for graphs --------------------------------------------------------------------------------------------------

    def inputs(self, shapes: Sequence[Shape]) -> Reads:
        """The values of the network's inputs: several are columns of one, which are taken where somebody reads them."""
        if len(shapes) == 1:
            return (INPUT,)
        stop = 0
        for place, shape in enumerate(shapes):
            start, stop = stop, stop + prod(shape)
            self._columns[-1 - place] = Op("columns", stop - start, settings=(("start", start), ("stop", stop)))
        return tuple(self._columns)

    def call(self, graph: Graph, shapes: Sequence[Shape], reads: Reads, prefix: str, trainable: bool) -> Reads:
        """Add the calls of a graph of which the inputs are these values; the values of its outputs."""
        values = list(reads)
        for step in graph.steps(shapes):
            given = tuple(values[value] for value in step.call.reads)
            values += step.layer.lower_call(self, prefix + step.name, step.shapes, given, trainable)
        return tuple(values[value] for value in graph.outputs)

    def activation(self, value: int) -> str:
        """The activation that the value comes of, which a loss may take over."""
        made = self._made.get(value)
        return made.stage.activation if made is not None and isinstance(made.stage, Dense | Activate) else "linear"

    def before_activation(self, value: int, is_read: bool) -> int:
        """The value that such an activation is computed from; `is_read`: others read what it gives."""
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
        """How many stages read the value."""
        return sum(made.reads.count(value) for made in self._made.values())

    def join(self, values: Reads, features: int) -> int:
        """These values side by side."""
        return self._add(Op("concatenate", features), values, None, len(self._order))

    def leading_to(self, value: int) -> Stages:
        """The stages that the value comes of; it is what the last of them gives."""
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
        """The value itself, or one of several inputs, which is taken from them now."""
        if value >= 0:
            return value
        if value not in self._taken:
            self._taken[value] = self._add(self._columns[value], (INPUT,), None, len(self._order))
        return self._taken[value]
