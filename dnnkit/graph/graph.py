"""The graph of a network: its layers, and the values that each layer call reads. A Sequential is a chain of calls.

Like layers, a graph is a frozen description without weights: graphs compare by value, and saves store their fields.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple, Self

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.graph.names import layer_names
from dnnkit.graph.sharing import check_shared_once, identity
from dnnkit.graph.symbols import Form, Given, Node, Symbol, call, form_of
from dnnkit.initializers import Initializer, Shape
from dnnkit.layers.base import Layer
from dnnkit.layers.core import Input
from dnnkit.settings import shown

MOST_CALLS = 5000
"""Maximum number of layer calls. Repeatedly nested networks can exceed any size, even in a save of a few bytes."""


@dataclass(frozen=True)
class Source:
    """An input: its name, and the shape of a sample, None if not yet known."""

    name: str
    shape: Shape | None


@dataclass(frozen=True)
class Call:
    """A layer call: index of the layer, numbers of the values it reads, and how many values it outputs."""

    layer: int
    reads: tuple[int, ...]
    gives: int = 1


class Step(NamedTuple):
    """A call with details: name of the layer, number of its first output value, sample shapes of inputs and outputs."""

    name: str
    layer: Layer
    call: Call
    first: int
    shapes: tuple[Shape, ...]
    after: tuple[Shape, ...]


@dataclass(frozen=True)
class Graph:
    """Layers and their calls, in an order in which they can be computed; equal graphs are the same network.

    Values are numbered from 0: the inputs, then the outputs of each call. `outputs` are numbers of some of them.
    """

    inputs: tuple[Source, ...]
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    outputs: tuple[int, ...]
    output_names: tuple[str, ...]
    input_form: Form = "one"
    output_form: Form = "one"

    def __post_init__(self) -> None:
        known = len(self.inputs)
        for each in self.calls:
            if not 0 <= each.layer < len(self.layers) or not each.reads or each.gives < 1:
                raise ConfigurationError(f"the graph has {each}: expected an existing layer that reads some values")
            if not all(0 <= value < known for value in each.reads):
                raise ConfigurationError(f"the graph has {each}: expected values computed earlier, 0 to {known - 1}")
            known += each.gives
        if (count := self.count()) > MOST_CALLS:
            raise ConfigurationError(
                f"the network has {count:,} layer calls, nested networks included: expected at most {MOST_CALLS:,}"
            )
        if not self.inputs or not self.outputs or not all(0 <= value < known for value in self.outputs):
            raise ConfigurationError(f"the graph's outputs are {self.outputs}: expected some of its {known} values")
        if len(self.output_names) != len(self.outputs):
            raise ConfigurationError(f"the graph has {len(self.output_names)} names for {len(self.outputs)} outputs")
        for what, names in (("inputs", [each.name for each in self.inputs]), ("outputs", list(self.output_names))):
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise ConfigurationError(f"two {what} are called {twice!r}: give them different names")

    @classmethod
    def chain(cls, layers: Sequence[Layer], input_shape: Shape | None) -> Self:
        """Return the graph of layers in a chain."""
        calls = tuple(Call(place, (place,)) for place in range(len(layers)))
        name = layer_names(layers)[-1] if layers else "output"
        return cls((Source("input", input_shape),), tuple(layers), calls, (len(layers),), (name,))

    @property
    def is_chain(self) -> bool:
        """Whether the layers form a chain from one input to one output."""
        one = len(self.inputs) == 1 and self.outputs == (len(self.calls),)
        return one and all(each == Call(place, (place,)) for place, each in enumerate(self.calls))

    def count(self) -> int:
        """Return the number of layer calls, including those of nested networks."""
        return sum(self.layers[each.layer].count_calls() for each in self.calls)

    @property
    def names(self) -> list[str]:
        """Names of the layers."""
        return layer_names(self.layers)

    @property
    def input_shape(self) -> Shape | None:
        """Shape of a sample, or, with several inputs, of all of them concatenated."""
        if len(self.inputs) == 1:
            return self.inputs[0].shape
        return (sum(prod(each.shape or ()) for each in self.inputs),)

    def with_input_shape(self, shape: Shape | None) -> "Graph":
        """Return the graph with that shape of its only input."""
        if len(self.inputs) > 1 or self.inputs[0].shape == shape:
            return self
        return replace(self, inputs=(replace(self.inputs[0], shape=shape),))

    # -- shapes ------------------------------------------------------------------------------------------------------

    def steps(self, shapes: Sequence[Shape] | None = None) -> Iterator[Step]:
        """Yield the calls in order, for the inputs' own shapes or the given ones."""
        if shapes is None:
            shapes = [each.shape for each in self.inputs if each.shape is not None]
        if len(shapes) != len(self.inputs):
            raise ShapeError(f"the network has {len(self.inputs)} inputs: got shapes of {len(shapes)}")
        values, names = list(shapes), self.names
        for each in self.calls:
            layer, before = self.layers[each.layer], tuple(values[value] for value in each.reads)
            after = layer.shapes_after(before)
            yield Step(names[each.layer], layer, each, len(values), before, after)
            values += after

    def shapes(self, shapes: Sequence[Shape] | None = None) -> list[Shape]:
        """Return the sample shape of each value."""
        values = list(shapes) if shapes is not None else [each.shape or () for each in self.inputs]
        for step in self.steps(shapes):
            values += step.after
        return values

    def output_shapes(self, shapes: Sequence[Shape] | None = None) -> list[Shape]:
        """Return the sample shape of each output."""
        values = self.shapes(shapes)
        return [values[value] for value in self.outputs]

    def parameters(self, shapes: Sequence[Shape] | None = None) -> dict[str, tuple[Shape, str | Initializer]]:
        """Return shape and initializer of each parameter by canonical name, in the order of the layers' first calls.

        Raises:
            ShapeError: a layer is called on values of different shapes that need different parameters.
        """
        found: dict[str, tuple[Shape, str | Initializer]] = {}
        for step in self.steps(shapes):
            for part, (shape, initializer) in step.layer.parameters_of(step.shapes).items():
                name = f"{step.name}/{part}"
                before = found.setdefault(name, (tuple(shape), initializer))[0]
                if before != tuple(shape):
                    raise ShapeError(
                        f"the layer {step.name!r} is called on values of different shapes, so {name} would need both "
                        f"{before} and {tuple(shape)}: call it on values of one shape, or make a layer for each"
                    )
        return found

    def check_sample_shapes(self) -> None:
        """Raise `ConfigurationError` if a layer declares another input shape than it gets."""
        for step in self.steps():
            if step.layer.sample_shape not in (None, step.shapes[0]):
                raise ConfigurationError(
                    f"the layer {step.name!r} declares samples of shape {step.layer.sample_shape}, but gets samples of "
                    f"shape {step.shapes[0]}: leave out input_shape, or correct the layers before it"
                )

    def labels(self) -> list[str]:
        """Return a display name of each value: that of the input or layer, with "#2" for its second call."""
        found, names, counts = [each.name for each in self.inputs], self.names, Counter[int]()
        for each in self.calls:
            counts[each.layer] += 1
            name = names[each.layer] + (f"#{counts[each.layer]}" if counts[each.layer] > 1 else "")
            parts = self.layers[each.layer].names_of_values()
            found += [name] if each.gives == 1 else [f"{name}.{part}" for part in parts]
        return found

    def before_output(self, place: int) -> list[tuple[str, Layer]]:
        """Return names and layers that an output depends on, by last call; the last of them computes the output."""
        needed, value = {self.outputs[place]}, len(self.inputs) + sum(each.gives for each in self.calls)
        found: dict[str, Layer] = {}
        names = self.names
        for each in reversed(self.calls):
            value -= each.gives
            if needed & set(range(value, value + each.gives)):
                needed |= set(each.reads)
                found.setdefault(names[each.layer], self.layers[each.layer])
        return list(found.items())[::-1]

    # -- symbolic values ---------------------------------------------------------------------------------------------

    def symbols(self) -> list[Symbol]:
        """Return new symbolic values, one per value of the graph."""
        values: list[Symbol] = [Input(each.shape or (), each.name) for each in self.inputs]
        for each in self.calls:
            reads = [values[value] for value in each.reads]
            values += form_of(call(self.layers[each.layer], reads if len(reads) > 1 else reads[0]))[2]
        return values


class Written(NamedTuple):
    """A graph, with the symbolic value of each of its values."""

    graph: Graph
    symbols: list[Symbol]


def graph_of(inputs: Any, outputs: Any) -> Written:
    """Return the graph from inputs to outputs; each is a symbolic value, or a list or dictionary of them.

    Raises:
        ConfigurationError: they are not symbolic values, or an output depends on an `Input` not among the inputs.
    """
    input_form, input_keys, sources = form_of(inputs)
    output_form, output_keys, results = form_of(outputs)
    for what, form, given, things in (
        ("inputs", input_form, inputs, sources),
        ("outputs", output_form, outputs, results),
    ):
        if not things or not all(isinstance(each, Symbol) for each in things):
            kind = "" if form == "one" else " of symbolic values only"
            raise ConfigurationError(
                f"{what} is {shown(given)}: expected a symbolic value, such as dk.Input((8,)) or the output of a layer "
                f"called on one, or a list or dictionary{kind}"
            )
    if len({id(each) for each in sources}) < len(sources):
        raise ConfigurationError("the inputs contain one value twice: give each once")
    nodes = _nodes(sources, results)
    layers: dict[int, tuple[int, Layer]] = {}
    for node in nodes:
        layers.setdefault(identity(node.layer), (len(layers), node.layer))
    described = tuple(layer for _, layer in layers.values())
    names = layer_names(described)
    check_shared_once(described, names)
    symbols, places = list(sources), {_key(each): place for place, each in enumerate(sources)}
    calls = list[Call]()
    for node in nodes:
        reads = tuple(places[_key(each)] for each in node.reads)
        calls.append(Call(layers[identity(node.layer)][0], reads, node.gives))
        for part, shape in enumerate(node.layer.shapes_after(tuple(each.sample_shape for each in node.reads))):
            places[id(node), part] = len(symbols)
            symbols.append(Given(shape, node, part))
    _check_all_used(calls, described, names, [places[_key(each)] for each in results], len(sources))
    taken = Counter[str]()
    input_names = input_keys or tuple(_free(_name_of_input(each), taken) for each in sources)
    taken.clear()
    called = {id(node): names[each.layer] for node, each in zip(nodes, calls, strict=True)}
    output_names = output_keys or tuple(_free(_name_of_output(each, called), taken) for each in results)
    graph = Graph(
        tuple(Source(name, each.sample_shape) for name, each in zip(input_names, sources, strict=True)),
        described,
        tuple(calls),
        tuple(places[_key(each)] for each in results),
        output_names,
        input_form,
        output_form,
    )
    return Written(graph, symbols)


def _check_all_used(
    calls: Sequence[Call], layers: Sequence[Layer], names: Sequence[str], outputs: Sequence[int], first: int
) -> None:
    """Raise `ConfigurationError` if a nested network has layers that serve only an unused output."""
    read = {*outputs, *(value for each in calls for value in each.reads)}
    for each in calls:
        values, first = range(first, first + each.gives), first + each.gives
        used = {part for part, value in enumerate(values) if value in read}
        if len(used) == each.gives:
            continue
        unused = layers[each.layer].without_unused(used)
        if unused:
            left = [name for part, name in enumerate(layers[each.layer].names_of_values()) if part not in used]
            raise ConfigurationError(
                f"the output {left[0]!r} of the network {names[each.layer]!r} is not used, but the layers "
                f"{', '.join(unused)} serve only it: call a dk.Model with only the outputs that are used"
            )


def _key(value: Symbol) -> tuple[int, int]:
    return (id(value), 0) if value.node is None else (id(value.node), value.part)


def _nodes(sources: Sequence[Symbol], results: Sequence[Symbol]) -> list[Node]:
    """Return the calls that the results depend on, back to the sources, in the order in which they were made."""
    given, found, left = {_key(each) for each in sources}, dict[int, Node](), list(results)
    while left:
        value = left.pop()
        if _key(value) in given:
            continue
        if value.node is None:
            raise ConfigurationError(
                f"an output depends on {value!r}, which is not among the inputs: add it, dk.Model([..., it], outputs)"
            )
        if id(value.node) not in found:
            found[id(value.node)] = value.node
            left += value.node.reads
    return sorted(found.values(), key=lambda node: node.number)


def _name_of_input(value: Symbol) -> str:
    if value.node is None:
        return getattr(value, "name", None) or "input"
    return str(value.node.layer.name or value.node.layer.base_name())


def _name_of_output(value: Symbol, called: dict[int, str]) -> str:
    if value.node is None or id(value.node) not in called:
        return _name_of_input(value)
    name = called[id(value.node)]
    return name if value.node.gives == 1 else f"{name}_{value.node.layer.names_of_values()[value.part]}"


def _free(name: str, taken: Counter[str]) -> str:
    """Return the name, with a number appended if it is taken."""
    taken[name] += 1
    return name if taken[name] == 1 else _free(f"{name}_{taken[name] - 1}", taken)
