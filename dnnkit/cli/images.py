"""Data sets of images in classes, and networks for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from dnnkit.errors import ConfigurationError

if TYPE_CHECKING:
    from dnnkit.network.sequential import Sequential
    from dnnkit.optimizers import Optimizer


def images_of(dataset: str) -> Any:
    """The module of a data set of images in classes."""
    from dnnkit.datasets import DATASETS

    images = DATASETS.find(dataset)
    if not hasattr(images, "LARGEST_VALUE") or not hasattr(images, "CLASS_NAMES"):
        raise ConfigurationError(f"data set {dataset!r} has no images in classes: train on it in Python instead")
    return images


def epochs_of(images: Any) -> int:
    """Passes over the data unless anybody says otherwise."""
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
    """A classifier of the images, compiled.

    Arguments:
        images: the module of a data set.
        hidden: units of each hidden layer.
        activation: of the hidden layers.
        optimizer: with its numbers.
        seed: decides the first weights and the order of samples.
        dtype: "float32" or "float64".
        backend: by name; None for the one in force.
        dropout: the share of each hidden layer's outputs that is dropped; 0 for no such layers.
        name: of the network, if it shall have one.
        num_threads: that it may have; None for the backend's choice.
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
