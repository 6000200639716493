"""Formulas that would take unlimited time or memory are rejected, and a caller can interrupt the wait for one."""

import os
import resource
import signal
import sys

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.formula import Formula, deriving

posix = pytest.mark.skipif(os.name != "posix", reason="signals end it")
ENDLESS = [
    "cosh(2^(x+1e30))",
    "erfc(exp(1e33*softplus(x)))",
    *(
        pytest.param(formula, marks=pytest.mark.slow)
        for formula in ("cosh(0.5^(x+1e9))", "exp(log(2)*1e9)*x", "sigmoid(" * 20 + "x" + ")" * 20)
    ),
]


@posix
@pytest.mark.parametrize("formula", ENDLESS)
def test_a_formula_has_two_seconds_and_some_memory(formula: str) -> None:
    Formula("before", "x * 1.5")
    before = deriving._process
    with pytest.raises(ConfigurationError, match="s of CPU time or 500 MiB"):
        Formula("endless", formula)
    assert deriving._process is not before  # which was working, and was ended
    assert Formula("next", "x * 2").key


def test_a_process_that_ended_meanwhile_is_replaced() -> None:
    Formula("before", "x * 3")
    assert deriving._process is not None
    deriving._process._process.kill()
    assert Formula("after", "x * 4").key


@posix
def test_ctrl_c_works_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Formula("before", "x * 5")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            Formula("long", "erfc(exp(1e31*softplus(x)))")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert deriving._process is None
    assert Formula("after", "x * 6").key


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_has_a_separate_process() -> None:
    Formula("before", "x * 7")
    child = os.fork()
    if child == 0:
        is_right = deriving._process is None and bool(Formula("c", "x * 8").key)
        deriving._end()
        os._exit(0 if is_right else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert Formula("after", "x * 9").key


def test_within_another_program_sympy_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/editor/editor")
    monkeypatch.setattr(deriving, "_ask", None)
    assert Formula("here", "x * 11").key


@pytest.mark.parametrize("value", [10**400, float("inf"), None, "1", [1]])
def test_a_parameter_is_a_finite_number(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"parameter a of 'f' is .*: expected a finite number"):
        Formula("f", "a * x", (("a", value),))  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("backend", [None, "numpy", "numba"])
def test_many_formulas_leave_little_behind(backend: str | None) -> None:
    """Also where networks train with them, compiled on Numba."""

    def define(first: int, count: int) -> None:
        for number in range(first, first + count):
            f = dk.activation("f", f"x / (1 + exp(-{number}/100 * x)) + {number} * tanh(x)")
            if backend is not None:
                net = dk.Sequential([dk.Dense(2, activation=f), dk.Dense(2)], seed=0, backend=backend)
                net.compile("sgd", "mean_squared_error")
                net.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)

    define(1, 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    define(1000, 300)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 100
