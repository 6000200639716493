"""Formulas: of the grammar, deep ones, mutilated known ones, and garbage."""

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dnnkit.formula import Formula, FormulaLoss, activation_from_text
from dnnkit.formula.grammar import FUNCTIONS
from dnnkit.kernels.registry import RUNTIME_ACTIVATIONS
from dnnkit.kernels.registry import loss as kernel_of
from tests.fuzz.reader import Reader

CORPUS = Path(__file__).parent / "corpus" / "formulas.txt"
NUMBERS = [
    "0",
    "1",
    "2",
    "0.5",
    "3",
    "100",
    "101",
    "1e3",
    "1e9",
    "1e30",
    "1e300",
    "1e-300",
    "1e400",
    "9" * 300,
    "pi",
    "e",
]
ONE_ARGUMENT = [name for name, (least, most) in FUNCTIONS.items() if least == 1 and name != "piecewise"]

_LEAVES = st.sampled_from(["x", "x", "x", "a", *NUMBERS])
_CONDITIONS = st.sampled_from(
    ["x > 0", "x <= 1e30", "0 < x < 1", "not x < 1", "True", "x == x", "exp(x) < 1", "a != 1 or x > 2"]
)


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(st.sampled_from(ONE_ARGUMENT), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "^"]), inner).map(
            lambda t: f"({t[0]}{t[1]}{t[2]})"
        ),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
        st.tuples(_CONDITIONS, inner, inner).map(lambda t: f"where({t[0]}, {t[1]}, {t[2]})"),
        inner.map(lambda t: f"-{t}"),
        st.tuples(inner, inner, inner).map(lambda t: f"clip({t[0]}, {t[1]}, {t[2]})"),
    )


def _nested(drawn: tuple[str, str, int]) -> str:
    outer, inner, depth = drawn
    return f"{outer}(" * depth + inner + ")" * depth


def _mutilated(drawn: tuple[str, list[tuple[float, str]]]) -> str:
    text, edits = drawn
    for share, new in edits:
        at = int(share * len(text))
        text = text[:at] + new + text[at + 1 :]
    return text


KNOWN = [line for line in CORPUS.read_text().splitlines() if line] if CORPUS.exists() else ["x * tanh(log(1 + exp(x)))"]
TEXTS = st.one_of(
    st.recursive(_LEAVES, _larger, max_leaves=12),
    st.recursive(_LEAVES, _larger, max_leaves=12),
    st.tuples(st.sampled_from(ONE_ARGUMENT), st.recursive(_LEAVES, _larger, max_leaves=3), st.integers(2, 45)).map(
        _nested
    ),
    st.tuples(
        st.sampled_from(KNOWN),
        st.lists(
            st.tuples(
                st.floats(0, 1, exclude_max=True),
                st.sampled_from(["", "(", ")", "^", "1e9", "x", *FUNCTIONS, *NUMBERS]),
            ),
            min_size=1,
            max_size=4,
        ),
    ).map(_mutilated),
    st.text(max_size=40),
)
VALUES = st.sampled_from([1.0, 0.0, -1.0, 0.5, 1e9, 1e300, 1e-300, 2.0**-1074, float("inf"), 10**400, "1", None])


def _read(case: Any, _: Path) -> None:
    text, value = case
    formula = Formula("f", text, (("a", value),))
    with np.errstate(all="ignore"):
        reference = RUNTIME_ACTIVATIONS[formula.key].reference
        slope = getattr(reference, "derivative", None) or reference.derivative_from_output
        assert reference.forward(np.linspace(-3, 3, 7)).shape == slope(np.linspace(-3, 3, 7)).shape == (7,)


def _read_text(case: Any, _: Path) -> None:
    activation_from_text(case)


_OF_LOSSES = st.recursive(
    st.sampled_from(["y", "t", "y - t", "a", "0", "1", "0.5", "1e300"]),
    lambda inner: _larger(inner) | inner.map(lambda t: f"where(y < t, {t}, y)"),
    max_leaves=10,
)


def _read_loss(case: Any, _: Path) -> None:
    text, value, over, weights = case
    loss = FormulaLoss("f", text, (("a", value),), over, weights)
    with np.errstate(all="ignore"):
        kernel = kernel_of(str(loss.lower("linear")[0].kernel)).loss_and_gradient
        total, gradient = kernel(np.ones((3, 2)), np.zeros((3, 2)), np.ones(3), 1.0)
    assert total.shape == ()
    assert gradient.shape == (3, 2)


READERS = (
    Reader("loss", st.tuples(_OF_LOSSES, VALUES, st.sampled_from(["mean", "sum", "max", None]),
                             st.sampled_from([None, (1, 2), [0.0, 0], "12", [1e300, float("nan")], 3])),
           _read_loss, few=12),
    Reader("formula", st.tuples(TEXTS, VALUES), _read, few=12),
    Reader("formula-text", st.one_of(st.text(max_size=60), TEXTS.map(lambda text: f"f = {text}; a = 1e400"),
                                     TEXTS.map(lambda text: f"f={text};a=2")), _read_text, few=12),
)  # fmt: skip
"""Return the readers of formulas."""
