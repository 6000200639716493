"""Checks of `fit_many`'s arguments: networks, their rows, early stopping; errors name the network."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.callbacks.early_stopping import EarlyStopping
from dnnkit.errors import BackendUnavailable, ConfigurationError, DataError, DnnkitError
from dnnkit.network.whole import WholeNetwork
from dnnkit.settings import plain, several, shown
from dnnkit.training.history import History

Rows: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64] | None]
"""Indices of training rows and of validation rows."""


@contextmanager
def of_network(number: int, net: Any) -> Iterator[None]:
    """Add the name of a network to errors."""
    try:
        yield
    except DnnkitError as error:
        raise type(error)(f"{called(number, net)}: {error}") from error


def called(number: int, net: Any) -> str:
    """Return the name of a network in messages."""
    name = getattr(net, "name", None)
    return f"networks[{number}]" if not name else f"networks[{number}] ({name!r})"


def check_networks(given: Any) -> list[WholeNetwork]:
    """Return the networks, after checking that each is listed once and that they share no layers."""
    if isinstance(given, WholeNetwork):
        raise ConfigurationError(
            "networks is a single network: expected a list of networks; train a single one with net.fit"
        )
    networks = list(several("networks", given, "a list of networks"))
    if not networks:
        raise ConfigurationError("networks is empty: expected at least one network")
    seen: dict[int, int] = {}
    for number, net in enumerate(networks):
        if not isinstance(net, WholeNetwork):
            raise ConfigurationError(f"networks[{number}] is {shown(net)}: expected a dk.Sequential or a dk.Model")
        if (before := seen.setdefault(id(net), number)) != number:
            raise ConfigurationError(
                f"{called(number, net)} is the same network as networks[{before}]: list each network once; net.copy() "
                "makes a copy"
            )
    for number, net in enumerate(networks):
        with of_network(number, net):
            net.optimizer.rule  # noqa: B018 - raises where the network is not compiled
        for before, other in enumerate(networks[:number]):
            kin, others = net.turns.shared_layers, other.turns.shared_layers
            if kin is not None and others is not None and (common := kin.has_in_common(others)):
                raise ConfigurationError(
                    f"{called(number, net)} shares the layer {common[0]!r} with {called(before, other)}: both "
                    "would update it, in no defined order. Train them one after the other, or train copies made by "
                    "net.copy()"
                )
    return networks


def check_backends(networks: Sequence[WholeNetwork]) -> None:
    """Raise `BackendUnavailable` unless all built networks run on the same backend."""
    first = networks[0].backend.address
    for number, net in enumerate(networks):
        if net.backend.address != first:
            raise BackendUnavailable(
                f"{called(number, net)} runs on {net.backend.address!r}, {called(0, networks[0])} on {first!r}: "
                "networks that are trained together need the same backend; move them with net.to(...)"
            )


def check_rows(given: Any, networks: Sequence[WholeNetwork], samples: int) -> list[Rows | None]:
    """Return the rows of each network; None for all rows."""
    if given is None:
        return [None] * len(networks)
    each = several("rows", given, "a pair (training rows, validation rows) for each network")
    if len(each) != len(networks):
        raise ConfigurationError(
            f"rows has {len(each)} entries for {len(networks)} networks: expected one per network, a pair (training "
            "rows, validation rows) or None"
        )
    return [_pair(number, net, pair, samples) for number, (net, pair) in enumerate(zip(networks, each, strict=True))]


def _pair(number: int, net: WholeNetwork, pair: Any, samples: int) -> Rows | None:
    if pair is None:
        return None
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ConfigurationError(
            f"rows[{number}], of {called(number, net)}, is {shown(pair)}: expected a pair (training rows, validation "
            "rows); the latter may be None"
        )
    train, held_out = pair
    where = f"rows[{number}]"
    return _numbers(f"{where}[0]", number, net, train, samples), (
        None if held_out is None else _numbers(f"{where}[1]", number, net, held_out, samples)
    )


def _numbers(name: str, number: int, net: WholeNetwork, given: Any, samples: int) -> NDArray[np.int64]:
    """Return row indices, given as such or as a boolean per sample."""
    found = np.asarray(given)
    whose = f"{name}, of {called(number, net)},"
    if found.dtype == np.bool_ and found.shape == (samples,):
        found = np.flatnonzero(found)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not found.size:
        raise DataError(
            f"{whose} has shape {found.shape} and dtype {found.dtype}: expected at least one row number, (n,), or a "
            f"boolean for each of the {samples} samples"
        )
    if found.min() < 0 or found.max() >= samples:
        outside = found[(found < 0) | (found >= samples)]
        raise DataError(f"{whose} has row {outside[0]}: expected rows from 0 to {samples - 1}, because x has {samples}")
    return np.ascontiguousarray(found, np.int64)


def check_early_stopping(given: Any) -> EarlyStopping | None:
    """Return an EarlyStopping to copy for each network, from an object, its arguments, or a patience."""
    given = plain(given)
    if given is None or given is False:
        return None
    if isinstance(given, EarlyStopping):
        return given
    if isinstance(given, Mapping):
        try:
            return EarlyStopping(**given)
        except TypeError as error:
            raise ConfigurationError(f"early_stopping is {shown(given)}: {error}; see dk.EarlyStopping") from None
    if isinstance(given, int) and not isinstance(given, bool):
        return EarlyStopping(patience=given)
    raise ConfigurationError(
        f"early_stopping is {shown(given)}: expected a patience in epochs, a dk.EarlyStopping, or a dictionary "
        "of its arguments"
    )


def own_copy(watching: EarlyStopping | None) -> list[EarlyStopping]:
    """Return a copy of the callback for one network."""
    if watching is None:
        return []
    made = copy.copy(watching)
    vars(made).pop("model", None)  # may be left from an earlier fit
    return [copy.deepcopy(made)]


def count_samples(x: Any, net: WholeNetwork) -> int:
    """Return the number of samples."""
    try:
        first = x
        if len(net.graph.inputs) > 1 and isinstance(x, Mapping | list | tuple) and x:
            first = next(iter(x.values() if isinstance(x, Mapping) else x))
        return len(first)
    except TypeError:
        raise DataError(f"x is {shown(x)}: expected samples, an array of numbers with one row per sample") from None


def kept_epoch(callbacks: Sequence[Any], history: History) -> int | None:
    """Return the index in the history of the epoch whose weights early stopping restored, or None."""
    for each in callbacks:
        if isinstance(each, EarlyStopping) and each.restore_best_weights and each.best_epoch in history.epoch:
            return history.epoch.index(each.best_epoch)
    return None
