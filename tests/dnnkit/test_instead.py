"""What Keras has and dnnkit has not says what to use instead; a misspelling gets the nearest name."""

import copy
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import instead
from dnnkit.errors import NoAttribute, UnknownArgument

net = dk.Sequential([dk.Input((4,)), dk.Dense(3, name="out")], seed=0, backend="numpy")
net.compile("sgd", "mse")
X, Y = np.zeros((5, 4)), np.zeros((5, 3))
history = net.fit(X, Y, verbose=0)

OWNERS = {
    "dnnkit": dk,
    "network": net,
    "layer": dk.Dense(3),
    "history": history,
    **{
        name: getattr(dk, name)
        for name in ("layers", "optimizers", "initializers", "callbacks", "schedules", "utils", "models", "datasets",
                     "activations")
    },
}  # fmt: skip

CALLS = {
    "compile": lambda **given: net.compile("sgd", "mse", **given),
    "fit": lambda **given: net.fit(X, Y, verbose=0, **given),
    "evaluate": lambda **given: net.evaluate(X, Y, **given),
    "predict": lambda **given: net.predict(X, **given),
    "summary": net.summary,
    "Layer": lambda **given: dk.Dense(3, **given),
    "Input": lambda **given: dk.Input(**{"shape": 3, **given}),
    "Optimizer": dk.SGD,
    "Adam": dk.Adam,
    "RMSprop": dk.RMSprop,
    "Loss": dk.losses.MeanSquaredError,
    "Initializer": dk.initializers.GlorotUniform,
    "RandomUniform": dk.initializers.RandomUniform,
    "RandomNormal": dk.initializers.RandomNormal,
    "VarianceScaling": dk.initializers.VarianceScaling,
    "Schedule": lambda **given: dk.schedules.ExponentialDecay(0.1, 10, 0.5, **given),
    "CosineDecay": lambda **given: dk.schedules.CosineDecay(0.1, 10, **given),
    "TensorBoard": dk.TensorBoard,
}


@pytest.mark.parametrize("kind", instead.ATTRIBUTES)
def test_every_attribute_of_the_table_is_missing_and_says_what_to_use(kind: str) -> None:
    for name, use in instead.ATTRIBUTES[kind].items():
        with pytest.raises(AttributeError) as raised:
            getattr(OWNERS[kind], name)
        assert isinstance(raised.value, NoAttribute), name
        assert str(raised.value).endswith(f"has no {name!r}: {use}")
        assert "{" not in use.replace("{...}", ""), use


@pytest.mark.parametrize("call", instead.ARGUMENTS)
def test_every_argument_of_the_table_is_rejected_with_what_to_use(call: str) -> None:
    for name, use in instead.ARGUMENTS[call].items():
        with pytest.raises(TypeError) as raised:
            CALLS[call](**{name: 1})
        assert isinstance(raised.value, UnknownArgument), name
        assert str(raised.value).endswith(f"takes no argument {name!r}: {use}")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: dk.Sequentail, "dnnkit has no attribute 'Sequentail': did you mean 'Sequential'"),
        (lambda: dk.Lion, r"dnnkit has no 'Lion': use dk\.optimizers\.Lion$"),
        (lambda: dk.mse, r"dnnkit has no 'mse': use dk\.losses\.mse or dk\.metrics\.mse$"),
        (lambda: dk.layers.Dens, "dnnkit.layers has no attribute 'Dens': did you mean 'Dense'"),
        (lambda: dk.losses.MeanSquareError, "did you mean 'MeanSquaredError'"),
        (lambda: dk.callbacks.EarlyStoping, "did you mean 'EarlyStopping'"),
        # Python's traceback has the nearest name
        (lambda: net.evalute, "'Sequential' object has no attribute 'evalute'"),
        (lambda: net.layers[0].get_weigths, "did you mean 'get_weights'"),
        (lambda: history.histori, "did you mean 'history'"),
    ],
)
def test_a_slip_is_an_attribute_error_with_the_nearest_name(ask, message: str) -> None:
    with pytest.raises(AttributeError, match=message):
        ask()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: net.fit(X, Y, epoch=3), r"fit\(\) takes no argument 'epoch': did you mean 'epochs'"),
        (lambda: net.compile("sgd", "mse", metric=["acc"]), "did you mean 'metrics'"),
        (lambda: dk.Dense(3, activaton="relu"), "Dense takes no argument 'activaton': did you mean 'activation'"),
        (lambda: dk.Adam(learnin_rate=0.1), "did you mean 'learning_rate'"),
        (lambda: net.predict(X, zzz=1), r"predict\(\) takes no argument 'zzz'$"),
    ],
)
def test_a_misspelt_argument_is_a_type_error_with_the_nearest_name(call, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


@dataclass(frozen=True)
class WithRegularizer(dk.Layer):
    """A custom layer takes the arguments it declares, also under a name of the table."""

    kernel_regularizer: float = 0.0


class WithInit(dk.Layer):
    def __init__(self, dtype, **others):
        self.taken = dtype, others


def test_custom_classes_accept_their_own_arguments() -> None:
    assert WithRegularizer(kernel_regularizer=2.0).kernel_regularizer == 2
    assert WithInit(dtype=3, seed=4).taken == (3, {"seed": 4})
    with pytest.raises(TypeError, match="WithRegularizer takes no argument 'activity_regularizer': penalties"):
        WithRegularizer(activity_regularizer=1)  # type: ignore[call-arg]


def test_a_network_lists_its_attributes_and_its_class_has_no_getattr() -> None:
    """`__getattr__` would make each attribute slower, and predictions of one row by a tenth."""
    assert "fit" in dir(net)
    assert not set(instead.ATTRIBUTES["network"]) & set(dir(net))
    assert not hasattr(dk.Sequential, "__getattr__")

    class Mine(dk.Sequential):
        def call(self, x):
            return x

    mine = Mine()
    mine.output = 3
    assert (mine.call(2), mine.output) == (2, 3)
    assert isinstance(pickle.loads(pickle.dumps(net)), dk.Sequential)


def test_special_attributes_of_python_are_not_intercepted() -> None:
    for thing in (net, net.layers[0], history, dk, dk.layers):
        assert not hasattr(thing, "__array_interface__")
        assert getattr(thing, "no_such_thing", None) is None
    for made in (copy.copy(net), copy.deepcopy(net.layers[0]), pickle.loads(pickle.dumps(net))):
        assert made is not None
    with pytest.raises(AttributeError) as raised:
        net.fit_generator  # noqa: B018
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
