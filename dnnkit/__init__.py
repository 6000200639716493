"""dnnkit: train dense neural networks at the speed of the machine, on swappable backends.

import dnnkit as dk

(x, y), (x_test, y_test) = dk.datasets.digits.load_data()
net = dk.Sequential([dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(64, activation="relu"),
                     dk.Dense(10, activation="softmax")], seed=0)
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(x, y, epochs=10, validation_data=(x_test, y_test))
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit import (
    activations,
    backends,
    callbacks,
    constraints,
    datasets,
    errors,
    initializers,
    layers,
    losses,
    metrics,
    models,
    namespaces,
    ops,
    optimizers,
    plots,
    regularizers,
    schedules,
    utils,
)
from dnnkit._version import __version__
from dnnkit.backends import get_backend, set_backend, use_backend
from dnnkit.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    LossPlot,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from dnnkit.confidence import iterations_to_confidence
from dnnkit.errors import DnnkitError
from dnnkit.formula import activation, loss
from dnnkit.instead import no_attribute
from dnnkit.layers import *  # noqa: F403
from dnnkit.lbfgs import LBFGS
from dnnkit.models import clone_model, load_model
from dnnkit.network.evaluation import Evaluation
from dnnkit.network.model import Model
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.numerical import check_gradients, gradient_descent, numerical_diff, numerical_gradient
from dnnkit.optimizers import SGD, Adam, AdamW, RMSprop
from dnnkit.registry import register
from dnnkit.seeds import reset_seed
from dnnkit.training.history import History
from dnnkit.utils import set_random_seed, to_categorical
from dnnkit.warm_up import warm_up

if TYPE_CHECKING:
    from dnnkit.estimators.classifier import DNNClassifier
    from dnnkit.estimators.regressor import DNNRegressor
    from dnnkit.estimators.saving import load_estimator
    from dnnkit.tables.encoder import TabularEncoder


def load(
    path: str | Path, *, backend: str | None = None, custom_objects: Mapping[str, Any] | None = None
) -> WholeNetwork:
    """The network that was saved in a folder, ready to predict and to train on.

    A save holds names and numbers, never code, and may be a stranger's: what it says is looked at before anything is
    made of it.

    Arguments:
        path: the folder, as `net.save` and checkpoints write it.
        backend: where to go on, by name; None for the one that trained, or the one that was chosen.
        custom_objects: the class names of your own layers, losses and schedules, and the names of your own metrics,
            with the classes and functions.

    Raises:
        CheckpointError: it is no save, damaged, of a later version, or larger than `DNNKIT_LARGEST_FILE` allows.
    """
    from dnnkit.saves.loading import load_network

    return load_network(path, backend, custom_objects)


IN_KERAS = ("Zeros", "Ones", "GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal")
"""Initializers that are registered under names in another spelling."""

namespaces.open_namespace(layers, layers.base.LAYERS, besides=layers.merging.FUNCTIONS)
namespaces.open_namespace(losses, losses.LOSSES)
namespaces.open_namespace(metrics, metrics.METRICS)
namespaces.open_namespace(optimizers, optimizers.OPTIMIZERS)
namespaces.open_namespace(callbacks, callbacks.base.CALLBACKS)
namespaces.open_namespace(initializers, initializers.INITIALIZERS, initializers.made_as_in_keras, IN_KERAS)
namespaces.open_namespace(activations, activations.ACTIVATIONS, activations.ActivationFunction)
namespaces.open_namespace(regularizers, regularizers.REGULARIZERS)
namespaces.open_namespace(constraints, constraints.CONSTRAINTS)
namespaces.open_namespace(schedules, schedules.SCHEDULES)
namespaces.open_namespace(datasets, datasets.DATASETS)
for _module in (models, utils):
    namespaces.open_namespace(_module)


LATER = {
    "DNNClassifier": "dnnkit.estimators.classifier",
    "load_estimator": "dnnkit.estimators.saving",
    "DNNRegressor": "dnnkit.estimators.regressor",
    "TabularEncoder": "dnnkit.tables.encoder",
}
"""What needs scikit-learn, and is imported when it is first asked for."""


def __getattr__(name: str) -> Any:
    if name in LATER:
        import importlib

        return globals().setdefault(name, getattr(importlib.import_module(LATER[name]), name))
    raise no_attribute("dnnkit", name, "dnnkit", __dir__)


def __dir__() -> list[str]:
    return __all__


__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "CSVLogger",
    "Callback",
    "DNNClassifier",
    "DNNRegressor",
    "DnnkitError",
    "EarlyStopping",
    "Evaluation",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "LossPlot",
    "Model",
    "ModelCheckpoint",
    "RMSprop",
    "ReduceLROnPlateau",
    "Sequential",
    "TabularEncoder",
    "TensorBoard",
    "TerminateOnNaN",
    "__version__",
    "activation",
    "activations",
    "backends",
    "callbacks",
    "check_gradients",
    "clone_model",
    "constraints",
    "datasets",
    "errors",
    "get_backend",
    "gradient_descent",
    "initializers",
    "iterations_to_confidence",
    "layers",
    "load",
    "load_estimator",
    "load_model",
    "loss",
    "losses",
    "metrics",
    "models",
    "numerical_diff",
    "numerical_gradient",
    "ops",
    "optimizers",
    "plots",
    "register",
    "regularizers",
    "reset_seed",
    "schedules",
    "set_backend",
    "set_random_seed",
    "to_categorical",
    "use_backend",
    "utils",
    "warm_up",
]
__all__ += layers.__all__
