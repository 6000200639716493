"""Formulas of activations, and the names defined for them."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cached_property, lru_cache
from numbers import Real
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.formula import grammar
from dnnkit.settings import FINITE, plain, shown

NAMED: dict[str, "Formula"] = {}
"""The latest definition of each name; a layer keeps the formula that its name had when the layer was made."""

NAME = re.compile(r"[A-Za-z][A-Za-z_0-9]{0,39}")
UNNAMED = "formula"
"""Name of an activation given only by its formula."""


@dataclass(frozen=True)
class Formula:
    """Activation given by a formula in x; accepted wherever an activation's name is, and saved with the network.

    Arguments:
        name: its name.
        formula: the formula, a text in x and the parameters.
        parameters: pairs of a parameter's name and its value.
    """

    name: str
    formula: str
    parameters: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "an activation")
        object.__setattr__(self, "parameters", pairs(self.name, self.parameters))
        for name, _ in self.parameters:
            check_parameter_name(name, "activation")
        from dnnkit.formula.derivation import define

        define(self.key, self.formula, dict(self.parameters))

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return Formula, (self.name, self.formula, self.parameters)  # each process compiles it for itself

    @cached_property
    def key(self) -> str:
        """Name for kernels: the name and a hash of the definition, so that a key never means two functions."""
        content = json.dumps([self.formula, self.parameters])
        return f"{self.name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def activation(name: str, formula: str, **parameters: float) -> Formula:
    """Define an activation by a formula in x; its name can then be used like that of a built-in one.

    `activation("swish", "x / (1 + exp(-beta * x))", beta=2)`; then `Dense(64, activation="swish")`, `dk.ops.swish(x)`,
    `dk.ops.swish_grad(x)`. SymPy derives the derivative; both are compiled, on every backend. The formula is saved with
    the network. docs/formulas.md describes the syntax.

    An existing name, also of a built-in activation, is redefined for layers made from now on; existing layers keep its
    previous meaning.

    Arguments:
        name: letters, digits and _, at most 40.
        formula: the formula, a text in x and the parameters.
        parameters: values of the parameters in the formula.

    Returns:
        The `Formula`, also usable directly: `Dense(64, activation=formula)`.

    Raises:
        ConfigurationError: the formula cannot be parsed or differentiated, or its derivative differs from finite
            differences.

    Warns `FormulaWarning` if function or derivative are not finite for some x from -1e4 to 1e4.
    """
    defined = Formula(name, formula, numbers_of(name, parameters))
    from dnnkit.formula.derivation import warn_of

    warn_of(defined.key, name)
    NAMED[name] = defined
    return defined


def activation_from_text(text: str) -> Formula:
    """Define an activation by one text, "name = formula; parameter = value; ...", as on the command line.

    Arguments:
        text: the definition.

    Returns:
        The `Formula`.

    Raises:
        ConfigurationError: as for `activation`, or the text is not a definition.
    """
    if not isinstance(text, str):
        raise ConfigurationError(
            f"{shown(text)} does not define an activation: expected text, such as 'swish = x / (1 + exp(-x))'"
        )
    name, formula, parameters = _parts(text)
    if name is None:
        raise ConfigurationError(
            f"{shown(text)} does not define an activation: expected 'name = formula; parameter = value; ...'"
        )
    defined = Formula(name, formula, tuple(parameters.items()))
    return activation(defined.name, defined.formula, **parameters)


def is_formula(text: str) -> bool:
    """Whether a text given in place of an activation's name is a formula in x, or intended as one."""
    return not NAME.fullmatch(text) and re.search(r"\bx\b", text) is not None


@lru_cache(maxsize=256)
def formula_from_text(text: str) -> Formula:
    """Return the activation of one text, "x * sigmoid(beta * x); beta = 2", optionally preceded by "name = ".

    The name is not registered. Warns and raises as `activation` does.
    """
    name, formula, parameters = _parts(text)
    defined = Formula(name or UNNAMED, formula, tuple(parameters.items()))
    from dnnkit.formula.derivation import warn_of

    warn_of(defined.key, defined.name)
    return defined


def _parts(text: str) -> tuple[str | None, str, dict[str, float]]:
    """Split into the name (if there is one before an equals sign), the formula, and the parameters."""
    first, *others = text.split(";")
    name, equals, formula = first.partition("=")
    is_comparison = formula.startswith("=") or name.rstrip().endswith(("<", ">", "!")) or "(" in name
    if equals and not is_comparison:
        name = name.strip()
        check_name(name, "an activation")
    else:
        name, formula = "", first
    parameters: dict[str, float] = {}
    for other in others:
        parameter, _, value = other.partition("=")
        try:
            parameters[parameter.strip()] = float(value)
        except ValueError:
            raise ConfigurationError(f"{shown(other.strip())} in {shown(text)}: expected 'parameter = value'") from None
    return name or None, formula.strip(), parameters


def check_name(name: str, what: str) -> None:
    """Raise `ConfigurationError` for an invalid name; `what` is what it is for, such as "an activation"."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigurationError(f"{what} cannot be called {shown(name)}: expected letters, digits and _, at most 40")


def check_parameter_name(name: str, kind: grammar.Kind) -> None:
    """Raise `ConfigurationError` for a name that already has a meaning in formulas."""
    taken = (*grammar.VARIABLES[kind], *grammar.CONSTANTS, *grammar.FUNCTIONS, *grammar.WORDS)
    if not NAME.fullmatch(name) or name in taken:
        raise ConfigurationError(f"a parameter cannot be called {shown(name)}: choose another name")


def numbers_of(name: str, parameters: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Return keyword parameters as pairs of a name and a number."""
    plain_ones = {parameter: plain(value) for parameter, value in parameters.items()}
    for parameter, value in plain_ones.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ConfigurationError(f"parameter {parameter} of formula {name!r} is {value!r}: expected a number")
    return tuple(plain_ones.items())


def pairs(name: str, given: Any) -> tuple[tuple[str, float], ...]:
    """Return parameters as pairs of a name and a finite number."""
    try:
        found = [(str(parameter), value) for parameter, value in given]
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"parameters of {name!r} are {shown(given)}: expected pairs of a name and a number"
        ) from None
    return tuple(
        (parameter, float(FINITE.check(f"parameter {parameter} of {name!r} is {shown(value)}", value)))
        for parameter, value in found
    )
