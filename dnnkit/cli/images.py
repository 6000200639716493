"""Data sets of images with class labels, and networks for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.network.sequential import Sequential
    from dnnkit.optimizers import Optimizer


def images_of(dataset: str) -> Any:
    """Return the module of an image data set; raise `ConfigurationError` for other data sets."""
    from dnnkit.datasets import DATASETS

    images = DATASETS.find(dataset)
    if not hasattr(images, "LARGEST_VALUE") or not hasattr(images, "CLASS_NAMES"):
        raise ConfigurationError(f"data set {dataset!r} has no images with class labels: train on it in Python instead")
    return images


def epochs_of(images: Any) -> int:
    """Return the default number of epochs."""
    return int(getattr(images, "EPOCHS", 10))


def network_of(
    images: Any,
    hidden: Sequence[int],
    activation: str,
    optimizer: "Optimizer",
    *,
    seed: int,
    dtype: str,
    backend: str | None,
    dropout: float = 0.0,
    name: str | None = None,
    num_threads: int | None = None,
) -> "Sequential":
    """Return a compiled classifier of the images.

    Arguments:
        images: the module of a data set.
        hidden: units per hidden layer.
        activation: activation of the hidden layers.
        optimizer: the optimizer with its settings.
        seed: seed of the initial weights and the order of samples.
        dtype: "float32" or "float64".
        backend: name of the backend; None for the current one.
        dropout: dropout rate after each hidden layer; 0 for no dropout layers.
        name: name of the network, or None.
        num_threads: maximum number of threads; None for the backend's choice.
    """
    from dnnkit.layers import Dense, Dropout, Flatten, Rescaling
    from dnnkit.network.sequential import Sequential

    layers: list[Any] = [Rescaling(1 / images.LARGEST_VALUE), Flatten()]
    for units in hidden:
        layers.append(Dense(units, activation=activation))
        if dropout:
            layers.append(Dropout(dropout))
    net = Sequential(
        [*layers, Dense(len(images.CLASS_NAMES), activation="softmax")],
        backend=backend,
        seed=seed,
        dtype=cast(Literal["float32", "float64"], dtype),
        name=name,
        num_threads=num_threads,
    )
    net.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return net
