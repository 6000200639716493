"""`--grid`: settings of a network and its optimizer, with the values to try."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from math import isfinite
from typing import Any

from dnnkit.activations import find
from dnnkit.cli.arguments import units
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DnnkitError, UnknownName
from dnnkit.many.grid import combinations
from dnnkit.optimizers import OPTIMIZERS, Optimizer
from dnnkit.registry import folded, unknown
from dnnkit.settings import SHARE

FORM = "expected NAME=VALUE,VALUE, such as learning_rate=1e-3,1e-2"
OF_ALL = {
    "batch_size": "--batch-size, the same for all networks",
    "epochs": "--epochs, the most for any network",
    "seed": "--repeats for several seeds, --seed for the first",
    "folds": "--folds",
    "dtype": "--dtype, the same for all networks",
    "backend": "--backend, the same for all networks",
}
"""Names that are not settings of a grid, and the options to use instead."""


def hidden(text: str) -> tuple[int, ...]:
    """Parse the sizes of hidden layers: 128, or 256x128 for two."""
    try:
        return units([text.replace("x", ",")])
    except DnnkitError:
        raise ConfigurationError("expected units of a layer, such as 128, or 256x128 for two layers") from None


def number(text: str) -> Any:
    """Parse a number, true, false or none."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        found = int(text) if text.isdecimal() and len(text) < 20 else float(text)
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise ConfigurationError("expected a number, true, false or none")
    return found


def _optimizer(text: str) -> str:
    OPTIMIZERS.find(text)
    return text


def _activation(text: str) -> str:
    find(text)
    return text


def _dropout(text: str) -> float:
    return float(SHARE.check("Dropout", number(text)))


OF_NETWORK: Mapping[str, Callable[[str], Any]] = {
    "hidden": hidden,
    "activation": _activation,
    "dropout": _dropout,
    "optimizer": _optimizer,
}
"""Settings of the network, and the function that parses a value of each."""


@dataclass(frozen=True)
class Choice:
    """One combination of a grid.

    Attributes:
        texts: the text of each setting, by name.
        hidden: sizes of hidden layers.
        activation: activation of the hidden layers.
        dropout: dropout rate after each hidden layer; 0 for no dropout layers.
        optimizer: name of the optimizer.
        numbers: settings of the optimizer, by field name.
    """

    texts: Mapping[str, str]
    hidden: tuple[int, ...]
    activation: str
    dropout: float
    optimizer: str
    numbers: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The combination, as printed."""
        return " ".join(f"{name}={text}" for name, text in self.texts.items()) or "as given"

    def made_optimizer(self) -> Optimizer:
        """Return the optimizer; raise `ConfigurationError` for settings that it does not have or accept."""
        kind = OPTIMIZERS.find(self.optimizer)
        own = settings_of(kind)
        for name in self.numbers:
            if name not in own:
                raise ConfigurationError(
                    f"--grid {name}: {self.optimizer} has no such setting; it has {', '.join(own)}; remove the setting "
                    "or the optimizer from the grid"
                )
        return kind(**self.numbers)


def settings_of(kind: type[Optimizer]) -> list[str]:
    """Return the names of an optimizer's settings that are numbers or flags."""
    return [
        field.name for field in fields(kind) if field.init and field.name not in ("groups", "no_decay", "predict_with")
    ]


def choices(given: Sequence[str], basis: Mapping[str, str]) -> list[Choice]:
    """Return every combination of a grid, in order, the last setting varying fastest.

    Arguments:
        given: the `--grid` options, each "name=value,value".
        basis: the text of each setting that the grid does not name.

    Raises:
        UnknownName: for an unknown setting, or an unknown name among its values.
        ConfigurationError: for a missing or invalid value, or a setting or value given twice.
    """
    grid = parsed(given, basis)
    found = []
    for texts in combinations(grid):
        of_network = {name: texts.get(name, basis[name]) for name in OF_NETWORK}
        values = {name: make(of_network[name]) for name, make in OF_NETWORK.items()}
        others = {**basis, **texts}
        numbers = {name: number(text) for name, text in others.items() if name not in OF_NETWORK}
        choice = Choice(texts, numbers=numbers, **values)
        choice.made_optimizer()
        found.append(choice)
    return found


def parsed(given: Sequence[str], basis: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the texts of each setting's values, after checking them."""
    grid: dict[str, list[str]] = {}
    optimizers = [basis["optimizer"]]
    for item in given:
        name, sign, texts = item.partition("=")
        if not sign or not name.strip():
            raise ConfigurationError(f"--grid {item!r}: {FORM}")
        if folded(name) == "optimizer":
            optimizers = [text.strip() for text in texts.split(",")]
    kinds = [_value("optimizer", each) and OPTIMIZERS.find(each) for each in optimizers if each]
    settings = [*OF_NETWORK, *dict.fromkeys(name for kind in kinds for name in settings_of(kind))]
    for item in given:
        typed, _, listed = item.partition("=")
        name = _setting(typed.strip(), settings, optimizers)
        if name in grid:
            raise ConfigurationError(f"--grid {name} is given twice: give all its values at once, {name}=VALUE,VALUE")
        tried = [text.strip() for text in listed.split(",")]
        if not all(tried):
            raise ConfigurationError(f"--grid {item!r} has an empty value: {FORM}")
        values = [_value(name, text) for text in tried]
        for place, value in enumerate(values):
            if value in values[:place]:
                raise ConfigurationError(f"--grid {name} has the value {tried[place]} twice: give it once")
        grid[name] = tried
    return grid


def _setting(given: str, settings: Iterable[str], optimizers: Iterable[str]) -> str:
    """Return the canonical name of a setting; spelling variants are accepted."""
    for name in settings:
        if folded(name) == folded(given):
            return name
    for name, instead in OF_ALL.items():
        if folded(name) == folded(given):
            raise ConfigurationError(f"--grid {given}: not a setting of a grid; use {instead}")
    if others := [name for name in OPTIMIZERS if given in settings_of(OPTIMIZERS[name])]:
        raise UnknownName(f"--grid {given}: {', '.join(optimizers)} has no such setting; {', '.join(others)} has")
    raise UnknownName(f"--grid: {unknown('setting', given, settings)}")


def _value(name: str, text: str) -> Any:
    try:
        return OF_NETWORK.get(name, number)(text)
    except DnnkitError as error:
        raise type(error)(f"--grid {name}={text}: {error}") from None
