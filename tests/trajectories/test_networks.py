"""The networks whose trajectories are compared: together they use everything."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

import dnnkit as dk
from benchmarks.trajectories.networks import Network, Scale, networks
from benchmarks.trajectories.samples import Samples
from benchmarks.trajectories.training import Setting, digest, flat, train
from dnnkit.graph.nested import NestedModel
from dnnkit.initializers import INITIALIZERS, Initializer
from dnnkit.layers.base import LAYERS
from dnnkit.layers.merging import Merge
from dnnkit.layers.of_kind import KindLayer
from dnnkit.losses import LOSSES, Loss
from dnnkit.metrics import METRICS
from dnnkit.optimizers import OPTIMIZERS, Optimizer
from dnnkit.schedules import SCHEDULES

ACTIVATIONS = {
    *("linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign"),
    *("mish", "hard_sigmoid", "step", "softmax"),
}
FUSED = {"binary_crossentropy": "sigmoid", "categorical_crossentropy": "softmax"}
FUSED["sparse_categorical_crossentropy"] = "softmax"
ALL = networks()


def layers(kind: type) -> list:
    return [layer for network in ALL for layer in network.layers if isinstance(layer, kind)]


def losses() -> list[tuple[Loss, object]]:
    """Every loss as an object, with the activation before it."""
    return [
        (loss if isinstance(loss := network.loss, Loss) else LOSSES[loss](), getattr(last, "activation", None))
        for network in ALL
        for last in [network.layers[-1]]
    ]


def optimizers() -> list[Optimizer]:
    return [o if isinstance(o := network.optimizer, Optimizer) else OPTIMIZERS[o]() for network in ALL]


def test_there_are_forty_of_different_names() -> None:
    assert len({network.name for network in ALL}) == 40


def test_every_layer_and_activation() -> None:
    elsewhere = KindLayer, dk.Reshape, Merge, NestedModel  # tests/dnnkit/layers, tests/dnnkit/network/test_model.py
    others = {kind for kind in LAYERS.values() if kind.__base__ is not dk.Activation}  # those are activations by name
    others = {kind for kind in others if not issubclass(kind, elsewhere)}
    assert {type(layer) for layer in layers(dk.Layer)} == others | {Scale}
    assert {layer.use_bias for layer in layers(dk.Dense)} == {True, False}
    used = [layer.activation or "linear" for layer in layers(dk.Dense)]
    assert {name for name in used if isinstance(name, str)} == ACTIVATIONS
    assert any(not isinstance(name, str) for name in used)  # a formula
    assert {"softmax", "tanh"} <= {str(layer.activation) for layer in layers(dk.Activation)}


def test_one_to_four_hidden_layers_of_many_widths() -> None:
    depths = {sum(isinstance(layer, dk.Dense) for layer in network.layers) - 1 for network in ALL}
    assert depths == {0, 1, 2, 3, 4}
    widths = {layer.units for layer in layers(dk.Dense)}
    assert {1, 130} <= widths
    assert len([width for width in widths if width % 2]) > 15


@pytest.mark.parametrize("name", ["mean_squared_error", "sum_squared_error", *FUSED])  # those written by hand
def test_every_loss_in_every_way(name: str) -> None:
    used = [(loss, last) for loss, last in losses() if type(loss) is LOSSES[name]]
    if name not in FUSED:
        assert len({last or "linear" for _, last in used}) > 2
        return
    assert {(loss.from_logits, last == FUSED[name]) for loss, last in used} == {
        (False, True),  # fused with its activation
        (False, False),  # on probabilities
        (True, False),  # on logits
    }
    if hasattr(used[0][0], "epsilon"):
        assert any(loss.epsilon for loss, _ in used)


def test_every_optimizer_schedule_and_initializer() -> None:
    """Those of the first releases: records exist of these networks; tests/dnnkit has the trajectories of others."""
    used = optimizers()
    assert {type(optimizer) for optimizer in used} == {dk.SGD, dk.RMSprop, dk.Adam, dk.AdamW}
    assert {optimizer.rule for optimizer in used} == {"sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"}
    assert {type(o) for o in used if o.global_clipnorm} == {dk.SGD, dk.RMSprop, dk.Adam, dk.AdamW}
    assert any(o.rule == "sgd" and o.weight_decay for o in used)
    first = {SCHEDULES[name] for name in ("ExponentialDecay", "CosineDecay", "PiecewiseConstantDecay")}
    assert first <= {type(optimizer.learning_rate) for optimizer in used}
    given = [i for layer in layers(dk.Dense) for i in (layer.kernel_initializer, layer.bias_initializer)]
    assert {i for i in given if isinstance(i, str)} == set(INITIALIZERS)
    assert {type(i) for i in given if isinstance(i, Initializer)} == {type(i) for i in INITIALIZERS.values()}


def test_every_metric_and_way_to_train() -> None:
    metrics = [metric for network in ALL for metric in network.metrics]
    assert set(METRICS.names()) == {metric for metric in metrics if isinstance(metric, str)}
    assert any(callable(metric) for metric in metrics)
    given = {name for network in ALL for name in network.fit}
    assert {"epochs", "steps", "steps_per_epoch", "shuffle", "class_weight", "validation_split"} <= given
    assert {network.fit.get("shuffle", True) for network in ALL} == {True, False, "with_replacement"}
    assert {network.weighted for network in ALL} == {network.validated for network in ALL} == {True, False}
    batches = [(network.samples.count, network.fit["batch_size"]) for network in ALL]
    assert any(samples == batch for samples, batch in batches)
    assert any(samples % batch for samples, batch in batches)
    assert {network.samples.kind for network in ALL} == {
        *("pixels", "numbers", "single", "whole", "sparse", "columns", "table"),
    }


@pytest.mark.parametrize("kind", ["pixels", "numbers", "single", "whole", "sparse", "columns"])
def test_samples_are_those_of_their_description(kind: str) -> None:
    samples = Samples(kind, 40, (3, 8), "labels", 3)
    (rows, held_out), (again, _) = samples.draw(1), samples.draw(1)
    for one, other in zip(rows, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert rows.x.shape == (40, 3, 8)
    assert held_out.x.shape == (10, 3, 8)
    assert set(rows.y) == {0, 1, 2}
    has_zeros = not rows.x.reshape(40, -1)[:, ::7].any()
    assert has_zeros == (kind in ("pixels", "sparse"))


@pytest.mark.parametrize("network", ALL, ids=lambda network: network.name)
def test_each_trains_and_twice_the_same(network: Network) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (train(network, "float64", Setting("numpy", 1)) for _ in range(2))
    assert digest(flat(first)) == digest(flat(second))
    assert all(np.isfinite(array).all() for array in flat(first).values())
    learned = [name for name, value in first["initial"].items() if not np.array_equal(value, first["parameters"][name])]
    assert learned
    assert (len(learned) == len(first["initial"])) != network.name.startswith("step, behind")


def test_a_hash_knows_names_dtypes_shapes_and_every_bit() -> None:
    arrays = {"a": np.arange(6.0), "b": np.array([0.0])}
    others = [
        {"a": arrays["a"], "c": arrays["b"]},
        {"a": arrays["a"].astype(np.int64), "b": arrays["b"]},
        {"a": arrays["a"].reshape(2, 3), "b": arrays["b"]},
        {"a": arrays["a"], "b": np.array([-0.0])},
        {"a": np.nextafter(arrays["a"], 9), "b": arrays["b"]},
    ]
    assert digest(arrays) == digest(dict(reversed(arrays.items())))
    assert len({digest(arrays), *map(digest, others)}) == 6


def test_training_does_not_change_the_optimizer_of_a_network() -> None:
    network = next(network for network in ALL if network.callbacks)
    before = replace(network.optimizer)
    train(network, "float32", Setting("numpy", 1))
    assert network.optimizer == before
