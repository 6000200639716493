"""Random sequences of calls on one network: every partition follows the NumPy backend, whatever came before."""

import pickle
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from tests.backends.numba_backend.partitions import dividing

ROWS, FEATURES = 150, 9
rng = np.random.default_rng(3)
X, WEIGHTS = rng.normal(size=(ROWS, FEATURES)), rng.uniform(0.5, 2, ROWS)
TARGETS: dict[str, tuple[str, Any]] = {
    "sparse_categorical_crossentropy": ("softmax", rng.integers(0, 4, ROWS)),
    "mean_squared_error": ("linear", rng.normal(size=(ROWS, 4))),
    "binary_crossentropy": ("sigmoid", rng.integers(0, 2, (ROWS, 4)).astype(float)),
}
BETWEEN: dict[str, Callable[[], dk.Layer]] = {
    "dropout": lambda: dk.Dropout(0.3),
    "batch_normalization": dk.BatchNormalization,
    "layer_normalization": dk.LayerNormalization,
    "scale": dk.Scale,
    "prelu": dk.PReLU,
    "noise": lambda: dk.GaussianNoise(0.1),
    "elu": dk.ELU,
}
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": dk.SGD,
    "momentum": lambda rate, **other: dk.SGD(rate, momentum=0.9, **other),
    "adamw": lambda rate, **other: dk.AdamW(rate, epsilon=1e-3, weight_decay=1e-2, **other),
    "rmsprop": lambda rate, **other: dk.RMSprop(rate, epsilon=1e-3, **other),
}
CLIPS = {"": {}, "norm": {"global_clipnorm": 0.5}, "each": {"clipnorm": 0.3}, "value": {"clipvalue": 0.05}}

NETWORKS = st.fixed_dictionaries(
    {
        "hidden": st.lists(
            st.tuples(
                st.integers(2, 70),
                st.sampled_from(["tanh", "gelu", "silu", "sigmoid", "linear"]),
                st.booleans(),
                st.sampled_from(["", "", *BETWEEN]),
            ),
            min_size=1,
            max_size=3,
        ),
        "loss": st.sampled_from(sorted(TARGETS)),
        "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
        "clip": st.sampled_from(sorted(CLIPS)),
        "averages": st.booleans(),
        "accumulates": st.sampled_from([1, 1, 3]),
        "penalty": st.sampled_from([None, "l2"]),
    }
)


def network(case: dict[str, Any], backend: str) -> dk.Sequential:
    layers: list[dk.Layer] = []
    for units, activation, bias, between in case["hidden"]:
        layers.append(dk.Dense(units, activation, use_bias=bias, kernel_regularizer=case["penalty"]))
        layers += [BETWEEN[between]()] if between else []
    head, _ = TARGETS[case["loss"]]
    threads = 3 if backend == "numba" else None
    net = dk.Sequential([*layers, dk.Dense(4, head)], seed=1, dtype="float64", backend=backend, num_threads=threads)
    rule = OPTIMIZERS[case["optimizer"]](1e-3, use_ema=case["averages"], **CLIPS[case["clip"]])
    net.compile(rule, case["loss"], gradient_accumulation_steps=case["accumulates"])
    net.build(FEATURES)
    return net


def apply_gradients(net: dk.Sequential, x: Any, y: Any) -> Any:
    loss, gradients = net.get_gradients(x, y)
    gradients[min(gradients)] *= 0.5
    net.apply_gradients(gradients)
    return loss


def assign(net: dk.Sequential, x: Any, y: Any) -> Any:
    loss, gradients = net.get_gradients(x, y)
    for name, gradient in gradients.items():
        net.parameters[name] -= 0.01 * gradient
    return loss


def freeze(net: dk.Sequential, *_: Any) -> None:
    net.freeze("dense")


def unfreeze(net: dk.Sequential, *_: Any) -> None:
    net.unfreeze("dense*")


OPERATIONS: dict[str, Callable[..., Any]] = {
    "train_step": lambda net, x, y: [net.train_step(x, y) for _ in range(3)],
    "apply_gradients": apply_gradients,
    "assign": assign,
    "predict": lambda net, x, _: net.predict(x),
    "predict all": lambda net, *_: net.predict(X),
    "evaluate": lambda net, x, y: net.evaluate(x, y)["loss"],
    "jacobian": lambda net, x, _: net.jacobian(x[:2]),
    "step": lambda net, x, _: net.step(x, np.full((len(x), 4), 1e-2), training=True),
    "freeze": freeze,
    "unfreeze": unfreeze,
}


def run(net: dk.Sequential, y: Any, name: str, first: int, rows: int) -> tuple[dk.Sequential, Any]:
    """Run an operation; return the network to continue with, and the result."""
    if name == "fit":
        return net, net.fit(X, y, batch_size=rows, epochs=2, verbose=0)["loss"]
    if name == "fit some steps":
        return net, net.fit(X, y, batch_size=rows, steps=5, sample_weight=WEIGHTS, verbose=0)["loss"]
    if name == "copy":
        return net.copy(), None
    if name == "pickle":
        return pickle.loads(pickle.dumps(net)), None
    if name == "save":
        with TemporaryDirectory() as folder:
            net.save(Path(folder) / "net")
            return dk.load(Path(folder) / "net", backend=net.backend), None
    return net, OPERATIONS[name](net, X[first : first + rows], y[first : first + rows])


SETTINGS = settings(
    max_examples=20,
    phases=[Phase.reuse, Phase.generate],  # shrinking a sequence takes minutes
    suppress_health_check=[HealthCheck.too_slow],
)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fit", "fit some steps", "copy", "pickle", "save", *OPERATIONS]),
        st.integers(0, 50),
        st.integers(5, 100),
    ),
    min_size=3,
    max_size=10,
)


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2", "rows/3"])
@SETTINGS
@given(case=NETWORKS, steps=STEPS)
def test_any_sequence_of_calls_gives_the_numbers_of_numpy(partition: str, case: dict[str, Any], steps: Any) -> None:
    expected, net = network(case, "numpy"), network(case, "numba")
    y = TARGETS[case["loss"]][1]
    with dividing(partition):
        for name, first, rows in steps:
            expected, right = run(expected, y, name, first, rows)
            net, found = run(net, y, name, first, rows)
            if right is not None:
                np.testing.assert_allclose(found, right, rtol=1e-7, atol=1e-8, err_msg=name)
            for parameter, value in expected.parameters.items():
                np.testing.assert_allclose(
                    net.parameters[parameter], value, rtol=1e-7, atol=1e-8, err_msg=f"{parameter} after {name}"
                )
