"""Formulas as users hold them, and the names that stand for them."""

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
"""What `activation` was last told of each name; a layer keeps the formula that its name stood for when it was made."""

NAME = re.compile(r"[A-Za-z][A-Za-z_0-9]{0,39}")
UNNAMED = "formula"
"""What an activation is called that was given by its formula alone."""


@dataclass(frozen=True)
class Formula:
    """An activation by its formula in x. It may stand wherever an activation's name may, and is saved with a network.

    `parameters` are pairs of a name in the formula and its value.
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
        return Formula, (self.name, self.formula, self.parameters)  # made again, for each process compiles its own

    @cached_property
    def key(self) -> str:
        """What kernels call it: its name and a hash of what it says, so that one key never means two functions."""
        content = json.dumps([self.formula, self.parameters])
        return f"{self.name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def activation(name: str, formula: str, **parameters: float) -> Formula:
    """An activation from its formula in x: from now on its name works like that of a built-in one.

    `activation("swish", "x / (1 + exp(-beta * x))", beta=2)`; then `Dense(64, activation="swish")`, `dk.ops.swish(x)`,
    `dk.ops.swish_grad(x)`. SymPy finds the derivative; both run compiled, on every backend. The formula is saved with a
    network. What it is made of is in docs/formulas.md. A name that is taken, also by a built-in activation,
    means the new formula in layers made from now on; those there are keep theirs.

    Raises `ConfigurationError` for a formula that cannot be read or whose derivative differs from finite differences;
    warns (`FormulaWarning`) where function or derivative are not finite for x from -1e4 to 1e4.
    """
    defined = Formula(name, formula, numbers_of(name, parameters))
    from dnnkit.formula.derivation import warn_of

    warn_of(defined.key, name)
    NAMED[name] = defined
    return defined


def activation_from_text(text: str) -> Formula:
    """`activation` from one text, "name = formula; parameter = value; ...", as a command line gives it."""
    if not isinstance(text, str):
        raise ConfigurationError(
            f"{shown(text)} defines no activation: expected text, such as 'swish = x / (1 + exp(-x))'"
        )
    name, formula, parameters = _parts(text)
    if name is None:
        raise ConfigurationError(
            f"{shown(text)} defines no activation: expected 'name = formula; parameter = value; ...'"
        )
    defined = Formula(name, formula, tuple(parameters.items()))
    return activation(defined.name, defined.formula, **parameters)


def is_formula(text: str) -> bool:
    """Whether a text that stands where an activation's name may is a formula in x, or tries to be one."""
    return not NAME.fullmatch(text) and re.search(r"\bx\b", text) is not None


@lru_cache(maxsize=256)
def formula_from_text(text: str) -> Formula:
    """The activation of one text, "x * sigmoid(beta * x); beta = 2", with or without "name = " before it.

    Its name is not made known: it is this object's alone. Warns and raises as `activation` does.
    """
    name, formula, parameters = _parts(text)
    defined = Formula(name or UNNAMED, formula, tuple(parameters.items()))
    from dnnkit.formula.derivation import warn_of

    warn_of(defined.key, defined.name)
    return defined


def _parts(text: str) -> tuple[str | None, str, dict[str, float]]:
    """The name, if one is before a sign of equality, the formula, and the parameters."""
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
    """Raise `ConfigurationError` for a name that cannot stand for a formula; `what` is "an activation", for example."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ConfigurationError(f"{what} cannot be called {shown(name)}: expected letters, digits and _, at most 40")


def check_parameter_name(name: str, kind: grammar.Kind) -> None:
    """Raise `ConfigurationError` for a name that means something else in a formula."""
    taken = (*grammar.VARIABLES[kind], *grammar.CONSTANTS, *grammar.FUNCTIONS, *grammar.WORDS)
    if not NAME.fullmatch(name) or name in taken:
        raise ConfigurationError(f"a parameter cannot be called {shown(name)}: choose a word of your own")


def numbers_of(name: str, parameters: Mapping[str, Any]) -> tuple[tuple[str, float], ...]:
    """Parameters as they were given by keyword: pairs of a name and a number."""
    plain_ones = {parameter: plain(value) for parameter, value in parameters.items()}
    for parameter, value in plain_ones.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ConfigurationError(f"parameter {parameter} of formula {name!r} is {value!r}: expected a number")
    return tuple(plain_ones.items())


def pairs(name: str, given: Any) -> tuple[tuple[str, float], ...]:
    """Parameters by name, as finite numbers."""
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
