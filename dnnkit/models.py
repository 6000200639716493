"""Networks as Keras calls them: models."""

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
    """A network of the same layers with new first weights, from a seed of its own; it is not compiled.

    `net.copy`, as `copy.deepcopy(net)`, has the weights, too.
    """
    return _alike(model, seed=None)


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


def load_model(
    filepath: str | Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> WholeNetwork:
    """The network that was saved in a folder: `dk.load`.

    Arguments:
        filepath: the folder, as `net.save` writes it.
        custom_objects: classes and functions of your own, by name.
        compile: whether it is compiled as it was; else it only predicts until you compile it.
        safe_mode: a save never holds code, so False is refused.
    """
    if not safe_mode:
        raise ConfigurationError(
            "safe_mode=False would run what a save holds: saves of dnnkit hold no code; leave it out"
        )
    net = load(filepath, custom_objects=custom_objects)
    if compile:
        return net
    twin = _alike(net, seed=net.seed)
    twin.set_weights(net.get_weights())
    return twin


def save_model(model: WholeNetwork, filepath: str | Path) -> None:
    """Write the network to a folder: `net.save`."""
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
