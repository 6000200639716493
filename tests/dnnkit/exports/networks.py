"""Networks to be exported: every kind of layer, with samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends import Backend, get_backend
from dnnkit.kernels import registry
from tests.backends.networks import CASES, data
from tests.oracles import ACTIVATIONS

TOLERANCE: dict[str, dict[str, float]] = {
    "float32": {"rtol": 3e-5, "atol": 1e-6},
    "float64": {"rtol": 1e-12, "atol": 1e-13},
}

LAYERS = {
    "dense": [dk.Dense(3)],
    "no bias": [dk.Dense(3, use_bias=False)],
    "rescaling first": [dk.Rescaling(1 / 16, -0.5), dk.Dense(3)],
    "rescaling without offset": [dk.Rescaling(-2)],
    "rescaling within": [dk.Dense(3), dk.Rescaling(0.1, 2.5), dk.Dense(2)],
    "dropout": [dk.Dense(9), dk.Dropout(0.9), dk.Dense(3)],
    "activation first": [dk.Activation("tanh"), dk.Dense(3)],
    "activation last": [dk.Dense(3), dk.Activation("softmax")],
    "flatten": [dk.Flatten(), dk.Dense(3)],
}


def randomized(net: dk.Sequential, shape: tuple[int, ...]) -> dk.Sequential:
    """Built, with non-zero biases; multiples of 1/8, so that rounding cannot change the sign of a step's input."""
    net.build(shape)
    rng = np.random.default_rng(len(net.layers))
    for name, value in net.parameters.items():
        net.parameters[name] = rng.integers(-8, 9, value.shape) / 8
    return net


def samples(shape: tuple[int, ...] = (4,), rows: int = 11) -> np.ndarray:
    return np.random.default_rng(8).integers(-16, 17, (rows, *shape)) / 8


def every_kind(backend: Backend, dtype: Any) -> dict[str, tuple[dk.Sequential, np.ndarray]]:
    """Networks with their samples, by a name that is valid for a file."""
    options = {"backend": backend, "seed": 1, "dtype": dtype}
    networks: dict[str, tuple[dk.Sequential, np.ndarray]] = {}
    for name in ACTIVATIONS:
        net = dk.Sequential([dk.Dense(5, activation=name), dk.Activation(name), dk.Dense(2)], **options)
        networks[name] = (randomized(net, (4,)), samples())
    for name, layers in LAYERS.items():
        shape = (2, 3) if name == "flatten" else (4,)
        networks[name.replace(" ", "_")] = (randomized(dk.Sequential(layers, **options), shape), samples(shape))
    for number, case in enumerate(CASES.values()):
        images = data()[0][:20]
        networks[f"compiled_{number}"] = (randomized(case.network(backend, dtype), images.shape[1:]), images)
    return networks


def graphs(dtype: Any) -> dict[str, tuple[dk.Model, Any]]:
    """Every kind of operation, several inputs and outputs, with their samples."""
    rng = np.random.default_rng(3)
    numbers, classes = dk.Input((4,), name="x"), dk.Input((2,), name="classes")
    h = dk.LayerNormalization()(dk.PReLU()(dk.Dense(6, name="x")(numbers)))
    h = dk.Dropout(0.5)(h + dk.GaussianNoise(0.1)(dk.RMSNormalization()(dk.Scale()(h)))) * h
    h = dk.BatchNormalization()(dk.Subtract()([dk.Average()([h, dk.Normalization()(h)]), dk.Activation("gelu")(h)]))
    parts = [h, numbers, dk.OneHot((3, 4))(classes), dk.CategoryEncoding(4, "multi_hot")(classes)]
    parts += [dk.CategoryEncoding(4, "count")(classes), dk.Flatten()(dk.Embedding(4, 3)(classes))]
    parts += [dk.Flatten()(dk.PeriodicEmbedding(units, 3)(numbers)) for units in (2, 0)]
    whole = dk.Concatenate()(parts)
    outputs = {"kind": dk.Dense(3, "softmax")(whole), "table": dk.Reshape((2, 2))(dk.Dense(4, "tanh")(whole))}
    several = dk.Model([numbers, classes], outputs, seed=1, dtype=dtype, backend="numpy")
    several.compile("sgd", {"kind": "sparse_categorical_crossentropy", "table": "mse"})
    given = {"x": rng.normal(size=(9, 4)), "classes": rng.integers(0, 3, (9, 2))}
    several.fit(given, {"kind": given["classes"][:, 0], "table": rng.normal(size=(9, 4))}, epochs=3, verbose=0)
    skip = dk.Dense(3, "relu")(numbers)
    single = dk.Model(numbers, dk.Dense(2, "softmax")(skip + skip), seed=1, dtype=dtype, backend="numpy")
    single.compile("sgd", "sparse_categorical_crossentropy")
    single.build(4)
    listed = dk.Model(numbers, [skip, numbers], seed=1, dtype=dtype, backend="numpy")
    listed.build(4)
    chain = dk.Sequential([dk.Dense(3), dk.BatchNormalization(), dk.ReLU()], seed=1, dtype=dtype, backend="numpy")
    chain.build(4)
    x = given["x"]
    return {"several": (several, given), "single": (single, x), "listed": (listed, x), "chain": (chain, x)}


FORMULAS = {
    "steep": "x / (1 + exp(-2.5 * x))",
    "waves": "sin(x) + cos(x)^2 + tan(x / 8) + atan(x)",
    "powers": "abs(x)^2.5 + sqrt(x^2 + 1) - log(1 + abs(x)) * erf(x)",
}


@dataclass(frozen=True)
class Mixed(dk.Layer):
    """Most of what a custom layer may do with an array namespace, for samples (4,)."""

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, Any]:
        return {"mix": ((4, 3), "glorot_uniform"), "shift": ((2,), "zeros")}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        return (22,)

    def forward(self, xp: Any, x: Any, mix: Any, shift: Any) -> tuple[Any, None]:
        table = xp.reshape(x, (x.shape[0], 2, 2))
        turned = xp.permute_dims(table, (0, 2, 1)) - xp.max(table, axis=(1, 2), keepdims=True)
        spread = xp.std(table, axis=2) * xp.prod(table, axis=1) + shift
        chosen = xp.where((x > 0) & ~(x > 1), xp.clip(x, 0.25, 0.75), -xp.sqrt(xp.abs(x)))
        beside = xp.concat([xp.ones((x.shape[0], 1), dtype=x.dtype), x[:, ::-1], x[:, None, 1]], axis=1)
        mixed = xp.matmul(table, xp.reshape(mix, (2, 6))[:, :2]) + xp.min(x, axis=1)[:, None, None]
        parts = [turned, spread, chosen, beside, xp.round(3 * x[:, 1:3]), mixed]
        return xp.concat([xp.reshape(part, (x.shape[0], -1)) for part in parts], axis=1), None

    def backward(self, xp: Any, dy: Any, saved: None, *parameters: Any) -> tuple[Any, ...]:
        raise NotImplementedError


def branches(activations: list[Any], **options: Any) -> dk.Model:
    """Return a network with all of these layers in parallel, on the same input."""
    x = dk.Input((4,), name="x")
    h = dk.Dense(5)(x)
    net = dk.Model(x, dk.Concatenate()([dk.Activation(one)(h) for one in activations]), **options)
    assert net.parameters  # builds the network
    return net


def all_networks(dtype: Any) -> dict[str, tuple[Any, Any]]:
    """Every layer, activation and kind of stage, formulas, a custom layer, with samples."""
    options = {"backend": "numpy", "seed": 1, "dtype": dtype}
    found: dict[str, tuple[Any, Any]] = graphs(dtype)
    for name, layers in LAYERS.items():
        shape = (2, 3) if name == "flatten" else (4,)
        found[name.replace(" ", "_")] = randomized(dk.Sequential(layers, **options), shape), samples(shape)
    formulas = [dk.activation(name, formula) for name, formula in FORMULAS.items()]
    for name, activations in {"activations": registry.names("activation"), "formulas": formulas}.items():
        found[name] = branches(list(activations), **options), 2 * samples()
    case = next(iter(CASES.values()))
    found["compiled"] = randomized(case.network(get_backend("numpy"), dtype), data()[0].shape[1:]), data()[0][:20]
    found["own"] = randomized(dk.Sequential([dk.Dense(4), Mixed(), dk.Dense(3)], **options), (4,)), samples()
    found["slopes"] = (
        randomized(dk.Sequential([dk.Dense(4), dk.LeakyReLU(0.2), dk.Dense(3)], **options), (4,)),
        samples(),
    )
    numbers, classes = dk.Input((2,), name="numbers"), dk.Input((2,), name="classes")
    beside = dk.Concatenate()([numbers, dk.OneHot((3, 4))(classes)])
    looked_up = dk.Model([numbers, classes], dk.Dense(3)(beside), **options)
    assert looked_up.parameters  # builds the network
    found["looked_up"] = looked_up, {"numbers": samples((2,)), "classes": np.arange(22).reshape(11, 2) % 3}
    only = dk.Input((1,), name="x")
    one = dk.Model(only, [only, dk.Dense(1)(only)], **options)
    assert one.parameters
    found["one"] = one, samples((1,))
    first, second = dk.Input((3,), name="int"), dk.Input((2, 2), name="x")
    outputs = dk.Dense(2, name="x")(first), dk.Reshape((2, 2))(dk.Dense(4, "softmax")(dk.Flatten()(second))), second
    several = dk.Model([first, second], list(outputs), **options)
    assert several.parameters
    found["names"] = several, {"int": samples((3,)), "x": samples((2, 2))}
    return found


def kernels(networks: dict[str, tuple[Any, Any]]) -> set[str]:
    """The activations and operations of networks."""
    return set().union(*(net.executable.program.kernels for net, _ in networks.values()))


def random_graphs(count: int, seed: int = 0) -> dict[str, tuple[dk.Model, np.ndarray]]:
    """Draw networks of layers that read any earlier values, any of which are outputs, in float64."""
    rng, found = np.random.default_rng(seed), dict[str, tuple[dk.Model, np.ndarray]]()
    names = registry.names("activation")
    for number in range(count):
        values: list[Any] = [dk.Input((int(rng.integers(1, 7)),), name="x")]
        for _ in range(rng.integers(1, 12)):
            v, w = (values[place] for place in rng.integers(len(values), size=2))
            like = [u for u in values if u.sample_shape == v.sample_shape]
            same = like[rng.integers(len(like))]
            layers: list[tuple[Any, Any]] = [
                (dk.Dense(int(rng.integers(1, 7)), str(rng.choice(names))), v),
                (dk.Activation(str(rng.choice(names))), v),
                (dk.LayerNormalization(), v), (dk.PReLU("ones"), v), (dk.BatchNormalization(), v),
                (dk.Rescaling(0.5, 1), v),
                (dk.Multiply(), [v, same]), (dk.Subtract(), [same, v]), (dk.Concatenate(), [w, v]),
            ]  # fmt: skip
            layer, reads = layers[rng.integers(len(layers))]
            values.append(layer(reads))
        chosen = sorted({*rng.integers(len(values), size=2).tolist(), len(values) - 1})
        net = dk.Model(values[0], [values[place] for place in chosen], seed=number, dtype="float64", backend="numpy")
        found[f"random{number}"] = net, rng.normal(size=(5, values[0].sample_shape[0]))
    return found
