"""SymPy's part of the work, and the process that does it; `deriving` starts, queries and ends it."""

import json
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import sympy

from dnnkit.errors import ConfigurationError, DnnkitError
from dnnkit.formula import grammar
from dnnkit.formula.from_output import derivative_from_output
from dnnkit.formula.stable import stable
from dnnkit.formula.statements import Statements
from dnnkit.formula.steps import Statement, Steps
from dnnkit.formula.symbols import Expression, T, X, derivative, translate

LONGEST = 1500
"""Maximum number of statements of a function and its derivatives: more would take compilers minutes."""
MANY = 50
"""Number of formulas after which the process exits, because SymPy's caches grow."""
IDLE = 30
"""Seconds without a request after which the process exits."""


def functions_of(
    formula: str, parameters: Mapping[str, float | None], kind: grammar.Kind = "activation"
) -> dict[str, Steps]:
    """Return, for an activation, `forward`, `derivative` and, if it may exist, `derivative_from_output`, to be checked.

    For a loss, return `element`: the loss of one output and its derivative with respect to the prediction. Parameters
    without a value remain symbolic. Raises `ConfigurationError` for a formula that cannot be differentiated.
    """
    try:
        expression = translate(grammar.parse(formula, parameters, kind), parameters, kind)
        functions = FUNCTIONS[kind](expression)
    except (DnnkitError, MemoryError):
        raise
    except Exception as error:  # SymPy's exceptions have no common base
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise ConfigurationError(f"SymPy cannot differentiate the formula {formula!r}: {reason}") from error
    if (count := sum(len(steps.lines) for steps in functions.values())) > LONGEST:
        raise ConfigurationError(
            f"the formula {formula!r} and its derivative take {count:,} operations, above the limit of {LONGEST:,}: "
            "write it in a simpler way"
        )
    return functions


def _of_activation(expression: Expression) -> dict[str, Steps]:
    functions: dict[str, Steps] = {
        "forward": Statements.of(stable(expression)),
        "derivative": Statements.of(stable(derivative(expression))),
    }
    shortcut = derivative_from_output(expression)
    if shortcut is not None:
        functions["derivative_from_output"] = Statements.of(shortcut)
    return functions


def _of_loss(expression: Expression) -> dict[str, Steps]:
    """Substitute one variable for y - t if y occurs only in it: less to compute, and no cancellation."""
    difference = sympy.Symbol("difference", real=True)
    of_difference = expression.xreplace({X: difference + T})  # SymPy cancels T - T, except in T > difference + T
    of_difference = of_difference.replace(
        lambda e: e.is_Relational and T in e.free_symbols, lambda e: e.func(e.lhs - e.rhs, 0)
    )
    is_of_difference = T not in of_difference.free_symbols
    if is_of_difference:
        expression = of_difference.xreplace({difference: X})
    steps = Statements.of(
        stable(expression), stable(derivative(expression)), variable="difference" if is_of_difference else "y"
    )
    if is_of_difference:
        steps.lines.insert(0, Statement("difference", "subtract", ("y", "t")))
    return {"element": steps}


FUNCTIONS: dict[grammar.Kind, Callable[[Expression], dict[str, Steps]]] = {
    "activation": _of_activation,
    "loss": _of_loss,
}
"""Converts an expression of each kind to functions."""


def main(seconds: float, memory: int) -> None:
    """Answer requests, one per line, within limits of CPU time and memory; exit when exceeded."""
    if hasattr(signal, "setitimer"):
        import resource

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # kills the process, even within a long Python operation
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        with suppress(ValueError, OSError):  # a lower limit is set already, or the limit is not supported
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    _answer({"ready": True})
    for _ in range(MANY):
        _set_alarm(IDLE)
        line = sys.stdin.readline()
        _set_alarm(0)
        if not line:
            return
        question = json.loads(line)
        _set_limit(seconds)
        try:
            found = functions_of(question["formula"], question["parameters"], question["kind"])
            answer: dict[str, Any] = {"functions": {name: steps.to_json() for name, steps in found.items()}}
        except DnnkitError as error:
            answer = {"error": str(error)}
        _set_limit(0)
        _answer(answer)


def _set_limit(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _set_alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _answer(answer: object) -> None:
    print(json.dumps(answer), flush=True)
