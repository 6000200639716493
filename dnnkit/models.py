"""Functions on whole networks, under the names that Keras has in `keras.models`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dnnkit.errors import ConfigurationError
from dnnkit.namespaces import open_namespace
from dnnkit.network.model import Model
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.settings import shown

__all__ = ["Model", "Sequential", "clone_model", "load", "load_model", "save_model"]

Network = TypeVar("Network", bound=WholeNetwork)


def clone_model(model: Network) -> Network:
    """Return an uncompiled network with the same layers and newly drawn initial weights.

    To copy a network with its weights, use `net.copy()` or `copy.deepcopy(net)`.

    Arguments:
        model: a `Sequential` or `Model`.
    """
    return _alike(model, seed=None)


def load(
    path: str | Path, *, backend: str | None = None, custom_objects: Mapping[str, Any] | None = None
) -> WholeNetwork:
    """Load a network saved in a folder, ready to predict and to continue training.

    A save contains names and numbers but no code, and is validated before use, so untrusted saves are safe to load.

    Arguments:
        path: the folder, as written by `net.save` and checkpoints.
        backend: name of the backend to use; default the one that it was trained on, or the one chosen globally.
        custom_objects: {name: object} for custom layers, losses and schedules, by class name, and custom metrics, by
            name.

    Returns:
        A `Sequential` or `Model`.

    Raises:
        CheckpointError: the folder is not a save, is damaged, of a later version, or larger than `DNNKIT_LARGEST_FILE`
            allows.
        BackendUnavailable: the backend does not work on this machine.
    """
    from dnnkit.saves.loading import load_network

    return load_network(path, backend, custom_objects)


def load_model(
    filepath: str | Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> WholeNetwork:
    """Load a network saved in a folder; Keras's name for `dk.load`.

    Arguments:
        filepath: the folder, as written by `net.save`.
        custom_objects: custom classes and functions by name.
        compile: whether to restore optimizer, loss and metrics; otherwise the network is not compiled.
        safe_mode: must be True: saves never contain code.
    """
    if not safe_mode:
        raise ConfigurationError(
            "safe_mode=False would run code from a save, but dnnkit's saves contain none: leave it out"
        )
    net = load(filepath, custom_objects=custom_objects)
    if compile:
        return net
    twin = _alike(net, seed=net.seed)
    twin.set_weights(net.get_weights())
    return twin


def save_model(model: WholeNetwork, filepath: str | Path) -> None:
    """Write the network to a folder; Keras's name for `net.save`.

    Arguments:
        model: the network.
        filepath: the folder.
    """
    model.save(filepath)


def _alike(model: Network, seed: int | None) -> Network:
    if not isinstance(model, WholeNetwork):
        raise ConfigurationError(f"the model is {shown(model)}: expected a Sequential or a Model")
    twin: Network = type(model).of_graph(
        model.graph,
        backend=model.backend if model.is_built else None,
        seed=seed,
        dtype=model.dtype,
        num_threads=model.num_threads,
        name=model.name,
    )
    return twin


open_namespace(__name__)
