"""Programs that are graphs (skips, merges, shared layers, several inputs and outputs), and how to train one by hand."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st

from dnnkit.backends import Backend
from dnnkit.backends.executable import Executable
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.outputs import Output
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Parameter, Rescale, Stage
from dnnkit.backends.state import HostArray, Hyperparameters, Snapshot, TrainingState

Dtype = Literal["float32", "float64"]
MEAN_SQUARED = Loss("mean_squared_error", "values", "mean")
CLASSES = Loss("softmax_cross_entropy", "labels", "mean")


ACCURACY, ERROR = Metric("accuracy", "categorical_accuracy"), Metric("mae", "absolute_error")
WHICH = "dense", "dense", "shared", "add", "multiply", "concatenate", "columns", "other"


class Own:
    """A custom layer: y = s x, with one parameter."""

    def forward(self, xp: Any, x: Any, scale: Any) -> tuple[Any, Any]:
        return x * scale, x

    def backward(self, xp: Any, dy: Any, x: Any, scale: Any) -> tuple[Any, ...]:
        return dy * scale, xp.reshape(xp.sum(x * dy), (1,))


OWN = Own()
WHICH_OTHER = Activate("tanh"), Activate("softmax"), Rescale(-2.0, 0.5), Dropout(0.4, 1), "own", "own shared"


class Graph:
    """Builder of stages, one by one; values are numbers, 0 is the input."""

    def __init__(self, features: int) -> None:
        self.features, self.stages, self.sources = features, list[Stage](), list[tuple[int, ...]]()
        self.widths = [features]

    def add(self, stage: Stage, *values: int, width: int | None = None) -> int:
        """Add a stage that reads those values; return the number of its output."""
        self.stages.append(stage)
        self.sources.append(values)
        self.widths.append(self.widths[values[0]] if width is None else width)
        return len(self.stages)

    def dense(self, value: int, units: int, activation: str = "tanh", **more: Any) -> int:
        """Add a custom layer."""
        return self.add(self.layer(self.widths[value], units, activation, **more), value, width=units)

    def layer(
        self, inputs: int, units: int, activation: str = "tanh", *, bias: bool = True, trainable: bool = True
    ) -> Dense:
        """Return a dense stage with its own parameters, to be added once or several times."""
        name = f"dense_{len(self.stages)}"
        kernel = Parameter(f"{name}/kernel", (inputs, units), trainable)
        return Dense(kernel, Parameter(f"{name}/bias", (units,), trainable) if bias else None, activation)

    def op(self, kind: str, *values: int, **settings: Any) -> int:
        """Add columns, concatenate, add or multiply."""
        width = {
            "columns": settings.get("stop", 0) - settings.get("start", 0),
            "concatenate": sum(self.widths[value] for value in values),
        }.get(kind, self.widths[values[0]])
        return self.add(Op(kind, width, settings=tuple(sorted(settings.items()))), *values, width=width)

    def program(
        self, dtype: Dtype = "float64", *, rule: str = "adam", outputs: tuple[Output, ...] = (), **more: Any
    ) -> Program:
        """Return the program, with a mean squared error unless there are several outputs."""
        settings: dict[str, Any] = {"num_threads": None, "seed": 3, **more}
        one = Program(
            (self.features,), self.widths[-1], tuple(self.stages), "linear", None if outputs else MEAN_SQUARED,
            () if outputs else (ERROR,), rule, dtype,
            sources=tuple(self.sources), **settings,
        )  # fmt: skip
        return one.with_outputs(outputs) if outputs else one


def two_inputs_two_outputs(dtype: Dtype = "float64", *, dropout: bool = False, **more: Any) -> Program:
    """Return a graph with a layer shared by both inputs, a skip and a gate; classes from labels and two numbers from
    values."""
    graph = Graph(7)
    first = graph.op("columns", 0, start=0, stop=3)
    second = graph.op("columns", 0, start=3, stop=6)
    third = graph.op("columns", 0, start=6, stop=7)
    shared = graph.layer(3, 5)
    a, b = graph.add(shared, first, width=5), graph.add(shared, second, width=5)
    both = graph.op("add", a, b)
    gate = graph.dense(third, 5, "sigmoid", bias=False)
    gated = graph.op("multiply", both, gate)
    if dropout:
        gated = graph.add(Dropout(0.3, len(graph.stages)), gated)
    wide = graph.op("concatenate", gated, a, 0)
    trunk = graph.op("add", graph.dense(graph.add(Activate("gelu"), wide), 5, "gelu"), b)
    scores = graph.op("concatenate", graph.dense(trunk, 3, "linear"), graph.dense(trunk, 2, "linear"))
    assert scores == len(graph.stages)
    return graph.program(
        dtype,
        outputs=(
            Output("kind", (0, 3), "softmax", CLASSES, (0, 1), 1.0, (Metric("accuracy", "categorical_accuracy"),)),
            Output("size", (3, 5), "linear", MEAN_SQUARED, (1, 3), 0.3, (Metric("mae", "absolute_error"),)),
        ),
        **more,
    )


@st.composite
def graphs(draw: st.DrawFn, dtype: Dtype = "float64") -> Program:
    """Draw a graph of few stages: each reads earlier values, and every value without a reader ends up in the scores."""
    graph = Graph(draw(st.integers(1, 6)))
    if draw(st.booleans()):
        graph.add(Rescale(0.5, draw(st.sampled_from([0.0, 0.25]))), 0)
    layers: list[Dense] = []
    for _ in range(draw(st.integers(1, 6))):
        value = draw(st.integers(0, len(graph.stages)))
        width = graph.widths[value]
        same = [v for v, w in enumerate(graph.widths) if w == width]
        fitting = [layer for layer in layers if layer.kernel.shape[0] == width]
        which = draw(st.sampled_from(WHICH))
        if which == "shared" and fitting:
            layer = draw(st.sampled_from(fitting))
            graph.add(layer, value, width=layer.kernel.shape[1])
        elif which in ("add", "multiply"):
            graph.op(which, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=3)))
        elif which == "concatenate":
            values = st.lists(st.integers(0, len(graph.stages)), min_size=1, max_size=3)
            graph.op(which, *draw(values))
        elif which == "columns":
            start = draw(st.integers(0, width - 1))
            graph.op(which, value, start=start, stop=draw(st.integers(start + 1, width)))
        elif which == "other":
            stage = draw(st.sampled_from(WHICH_OTHER))
            if isinstance(stage, str):
                name = "own/scale" if stage == "own shared" else f"own_{len(graph.stages)}/scale"
                stage = Custom(OWN, (Parameter(name, (1,)),), (width,), (width,))
            graph.add(stage, value)
        else:
            activation = draw(st.sampled_from(["relu", "tanh", "gelu", "linear"]))
            layer = graph.layer(
                width, draw(st.integers(1, 5)), activation, bias=draw(st.booleans()), trainable=draw(st.booleans())
            )
            layers.append(layer)
            graph.add(layer, value, width=layer.kernel.shape[1])
    read = {value for values in graph.sources for value in values}
    ends = [value for value in range(1, len(graph.stages) + 1) if value not in read]
    graph.dense(graph.op("concatenate", *ends), draw(st.integers(1, 3)), "linear")
    return graph.program(dtype, rule=draw(st.sampled_from(["sgd", "adam"])))


def samples(program: Program, rows: int, seed: int = 0) -> tuple[HostArray, HostArray]:
    """Draw x and targets; labels are whole numbers in their column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, *program.input_shape)).astype(program.dtype)
    y: HostArray = rng.normal(size=(rows, program.target_width)).astype(program.dtype)
    for output in program.outputs:
        if output.takes_labels:
            y[:, output.targets[0]] = rng.integers(0, output.width, rows)
    return x, y


def numbers(program: Program, seed: int = 1) -> dict[str, HostArray]:
    """Draw values for all parameters."""
    rng = np.random.default_rng(seed)
    return {
        p.name: (np.abs(rng.normal(size=p.shape)) + 0.5 if p.statistic else 0.6 * rng.normal(size=p.shape)).astype(
            program.dtype
        )
        for p in program.parameters
    }


def built(backend: Backend, program: Program, values: Mapping[str, HostArray] | None = None) -> Executable:
    """Build the program with those parameters."""
    executable = backend.build(program)
    executable.restore(Snapshot(numbers(program) if values is None else values, {}, TrainingState()))
    return executable


CONSTANTS = {"beta_1": 0.9, "beta_2": 0.99, "epsilon": 1e-7, "momentum": 0.9, "weight_decay": 0.01, "rho": 0.9}


def hyperparameters(program: Program, steps: int, clip_norm: float | None = None) -> Hyperparameters:
    """Return learning rates that change, and the constants of the rule."""
    rule = program.optimizer_rule
    assert rule is not None
    constants = {name: CONSTANTS[name] for name in rule.hyperparameters}
    return Hyperparameters(np.linspace(0.02, 0.01, steps), constants, clip_norm)


def trained(
    backend: Backend, program: Program, rows: int = 23, batch: int = 8, *, clip_norm: float | None = None,
    weights: HostArray | None = None, epochs: int = 2, given: tuple[HostArray, HostArray] | None = None,
) -> tuple[Executable, dict[str, float]]:  # fmt: skip
    """Train for some epochs; return (executable, totals of the last epoch)."""
    executable, (x, y) = built(backend, program), given or samples(program, rows)
    data, steps = executable.load(x, y, weights), -(-rows // batch)
    for epoch in range(epochs):
        executable.begin_epoch(data, np.random.default_rng(epoch).permutation(rows), batch)
        assert executable.run_steps(0, steps, hyperparameters(program, steps, clip_norm)) == steps
    return executable, executable.totals().means(program.metrics)
