"""Networks as lists of stages: random, hand-made, plain."""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from dnnkit.backends.numba_backend.partition import Partition
from dnnkit.backends.stages import Activate, Dense, Dropout, Parameter, Rescale, Stage
from dnnkit.kernels import registry

ELEMENTWISE = ["linear", "relu", "tanh", "gelu"]
DIVISIONS = st.builds(Partition, st.sampled_from(["units", "rows"]), st.integers(1, 7))
WIDTHS = st.one_of(st.integers(1, 12), st.sampled_from([31, 32, 33, 63, 64, 65, 100, 128, 129, 200]))


def network(features: int, *layers: tuple, first: int = 0) -> list[Stage]:
    """Return stages from (units, activation, has a bias) for dense ones, and from given stages; names count on."""
    stages: list[Stage] = []
    width = features
    for number, layer in enumerate(layers, first):
        if not isinstance(layer, tuple):
            stages.append(layer)
            continue
        units, activation, has_bias = layer
        bias = Parameter(f"dense_{number}/bias", (units,)) if has_bias else None
        stages.append(Dense(Parameter(f"dense_{number}/kernel", (width, units)), bias, activation))
        width = units
    return stages


def frozen(stages: Sequence[Stage]) -> list[Stage]:
    """Return the same stages with frozen parameters."""
    return [
        replace(
            stage,
            kernel=replace(stage.kernel, trainable=False),
            bias=None if stage.bias is None else replace(stage.bias, trainable=False),
        )
        if isinstance(stage, Dense)
        else stage
        for stage in stages
    ]


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[Stage]]:
    """Draw features and stages: any depth, uneven widths, anything allowed between the dense ones; some are frozen."""
    dense = st.tuples(WIDTHS, st.sampled_from([*ELEMENTWISE, "softmax"]), st.booleans())
    others = st.sampled_from([Activate("relu"), Activate("softmax"), Dropout(0.3, 0), Rescale(2.0, 0.5)])
    features = draw(WIDTHS)
    stages = network(features, *draw(st.lists(dense | dense | others, max_size=9)))
    if draw(st.booleans()):
        return features, stages
    return features, [frozen([stage])[0] if draw(st.booleans()) else stage for stage in stages]


def plain(count: int, width: int = 8) -> list[Stage]:
    """Return this number of dense stages with elementwise activations."""
    return network(width, *[(width, "relu", True)] * count)


def is_elementwise(stage: Stage) -> bool:
    return not isinstance(stage, Dense | Activate) or registry.activation(stage.activation).elementwise
