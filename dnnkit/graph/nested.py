"""Networks called as layers."""

from dataclasses import replace
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.graph.graph import Graph
from dnnkit.graph.lowering import Lowering
from dnnkit.graph.symbols import as_form, form_of
from dnnkit.initializers import Initializer, Shape
from dnnkit.layers.base import LAYERS, Into, Layer, Reads
from dnnkit.layers.places import description
from dnnkit.settings import shown


@LAYERS.named("NestedModel")
@dataclass(frozen=True)
class NestedModel(Layer):
    """A network as a layer of another, as created by calling a network on symbolic values.

    Its parameters are those of its layers, called "name/layer/parameter". Lowering inlines its layers.

    Arguments:
        graph: the graph of the network.
    """

    graph: Graph

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.graph, Graph):
            raise ConfigurationError(f"NestedModel({shown(self.graph)}): expected a network, called as net(x)")

    def __repr__(self) -> str:
        return f"NestedModel({', '.join(self.graph.names)})"

    def arranged(self, given: Any) -> tuple[Any, ...]:  # noqa: D102
        names = [each.name for each in self.graph.inputs]
        form, keys, values = form_of(given)
        if form == "named":
            if set(keys) != set(names):
                raise ConfigurationError(
                    f"the network called here has the inputs {', '.join(names)}; got {', '.join(keys)}"
                )
            return tuple(given[name] for name in names)
        if len(values) != len(names):
            raise ConfigurationError(
                f"the network called here has {len(names)} inputs, {', '.join(names)}; got {len(values)} values"
            )
        return values

    def shapes_after(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:  # noqa: D102
        for source, shape in zip(self.graph.inputs, shapes, strict=True):
            if source.shape not in (None, shape):
                raise ShapeError(
                    f"the network called here takes samples of shape {source.shape} as {source.name!r}; got samples of "
                    f"shape {shape}"
                )
        return tuple(self.graph.output_shapes(shapes))

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        return self.shapes_after((input_shape,))[0]

    def as_given(self, values: tuple[Any, ...]) -> Any:  # noqa: D102
        return as_form(self.graph.output_form, self.graph.output_names, values)

    def names_of_values(self) -> tuple[str, ...]:  # noqa: D102
        return self.graph.output_names

    def parameters_of(self, shapes: tuple[Shape, ...]) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return self.graph.parameters(shapes)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return self.parameters_of((input_shape,))

    def lower_call(  # noqa: D102
        self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool
    ) -> Reads:
        assert isinstance(into, Lowering)
        return into.call(self.graph, shapes, reads, f"{path}/", trainable and self.trainable)

    def count_calls(self) -> int:  # noqa: D102
        return self.graph.count()

    def inner_layers(self) -> tuple[tuple[str, Layer], ...]:  # noqa: D102
        found = list[tuple[str, Layer]]()
        for name, layer in zip(self.graph.names, self.graph.layers, strict=True):
            inner = layer.inner_layers()
            found += [(f"{name}/{path}", each) for path, each in inner] if inner else [(name, layer)]
        return tuple(found)

    def without_unused(self, used: set[int]) -> list[str]:
        """Return the names of layers that none of these outputs depends on."""
        graph = self.graph
        needed = {graph.outputs[place] for place in used}
        first = sum(each.gives for each in graph.calls) + len(graph.inputs)
        unused = dict.fromkeys(each.layer for each in graph.calls)
        for each in reversed(graph.calls):
            first -= each.gives
            if needed & set(range(first, first + each.gives)):
                needed |= set(each.reads)
                unused.pop(each.layer, None)
        return [graph.names[place] for place in unused]


def nested(graph: Graph, name: str | None, trainable: bool = True) -> NestedModel:
    """Return a network as a layer."""
    return NestedModel(replace(graph, layers=tuple(map(description, graph.layers))), name=name, trainable=trainable)
