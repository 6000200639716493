"""Networks as lists of stages: drawn, made up, plain."""

from hypothesis import strategies as st

from dnnkit.backends.numba_backend.partition import Partition
from dnnkit.backends.program import Activate, Dense, Dropout, Parameter, Rescale, Stage
from dnnkit.kernels import registry

ELEMENTWISE = ["linear", "relu", "tanh", "gelu"]
DIVISIONS = st.builds(Partition, st.sampled_from(["units", "rows"]), st.integers(1, 7))
WIDTHS = st.one_of(st.integers(1, 12), st.sampled_from([31, 32, 33, 63, 64, 65, 100, 128, 129, 200]))


def network(features: int, *layers: tuple) -> list[Stage]:
    """Stages from (units, activation, has a bias) for a dense one, and from stages as they are."""
    stages: list[Stage] = []
    width = features
    for number, layer in enumerate(layers):
        if not isinstance(layer, tuple):
            stages.append(layer)
            continue
        units, activation, has_bias = layer
        bias = Parameter(f"dense_{number}/bias", (units,)) if has_bias else None
        stages.append(Dense(Parameter(f"dense_{number}/kernel", (width, units)), bias, activation))
        width = units
    return stages


@st.composite
def networks(draw: st.DrawFn) -> tuple[int, list[Stage]]:
    """Features and stages: any depth, uneven widths, and between the dense ones whatever can stand there."""
    dense = st.tuples(WIDTHS, st.sampled_from([*ELEMENTWISE, "softmax"]), st.booleans())
    others = st.sampled_from([Activate("relu"), Activate("softmax"), Dropout(0.3, 0), Rescale(2.0, 0.5)])
    features = draw(WIDTHS)
    return features, network(features, *draw(st.lists(dense | dense | others, max_size=9)))


def plain(count: int, width: int = 8) -> list[Stage]:
    """So many dense stages with elementwise activations."""
    return network(width, *[(width, "relu", True)] * count)


def is_elementwise(stage: Stage) -> bool:
    return not isinstance(stage, Dense | Activate) or registry.activation(stage.activation).elementwise
