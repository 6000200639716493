"""Questions about optimizer rules."""

from collections.abc import Iterator, Sequence

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.testing.cases import DTYPES, Case, pairwise, wide
from dnnkit.testing.comparing import check_alike, check_bits, check_close, check_not_finite_alike
from dnnkit.testing.implementations import PLAIN, Given, Implementation
from dnnkit.testing.questions import question

SIZES = [(0,), (1,), (7,), (65,), (257,), (1009,), (3000,), (40_001,)]
STEPS = 10
LEARNING_RATE = 0.01
FEW = 4
"""Allowed units in the last place per step, in addition to twice the error of the reference."""


def _sizes(implementation: Implementation, kernel: str) -> Iterator[Case]:
    flat = [given for given in implementation.variations if given.layout in ("contiguous", "misaligned")]
    for chosen in pairwise(shape=SIZES, dtype=DTYPES, given=flat):
        yield Case(kernel, **chosen)


def _one(implementation: Implementation, kernel: str) -> Iterator[Case]:
    return (Case(kernel, dtype, (65,)) for dtype in DTYPES)


def numbers(rule: str) -> list[float]:
    """Return a learning rate and distinct values for the hyperparameters, also for new rules."""
    shares = iter((0.9, 0.999, 0.95, 0.8, 0.7))
    small = {"eps": 1e-7, "decay": 0.1}
    return [
        LEARNING_RATE,
        *(
            next((value for part, value in small.items() if part in name), None) or next(shares)
            for name in RULES[rule].hyperparameters
        ),
    ]


@question("optimizer", "update", _sizes)
def steps(implementation: Implementation, case: Case) -> None:
    """Parameters and slots after some steps match the reference in float64."""
    p, gradients = _arrays(case)
    actual, slots = _run(implementation, case.kernel, p, gradients, case.given)
    exact, exact_slots = _reference(case.kernel, wide(p), wide(gradients))
    near, near_slots = _reference(case.kernel, p, gradients)
    for name, now, wanted, other in zip(
        ("parameters", *RULES[case.kernel].slots),
        (actual, *slots),
        (exact, *exact_slots),
        (near, *near_slots),
        strict=True,
    ):
        check_alike(name, now, p.shape, case.dtype)
        scale = max(1.0, float(np.abs(wanted).max(initial=0)))
        limit = 2 * float(np.abs(other - wanted).max(initial=0)) + FEW * STEPS * np.finfo(case.dtype).eps * scale
        check_close(name, now, wanted, limit)


@question("optimizer", "update", _one)
def nan_and_inf(implementation: Implementation, case: Case) -> None:
    """A non-finite gradient affects its own parameter only."""
    for bad in (np.nan, np.inf, -np.inf):
        for place in (0, 33, 64):
            g = np.ones((1, 65), case.dtype)
            g[0, place] = bad
            p = np.ones(65, case.dtype)
            with np.errstate(all="ignore"):
                expected, _ = _reference(case.kernel, p, g)
            actual, _ = _run(implementation, case.kernel, p, g)
            check_not_finite_alike(f"{bad} at {place}", actual, expected)


@question("optimizer", "update", _one)
def very_late_steps(implementation: Implementation, case: Case) -> None:
    """Any step count works: bias corrections neither overflow nor degenerate."""
    rule, given = RULES[case.kernel], case.rng.uniform(0.1, 1, (2 + len(RULES[case.kernel].slots), 65))
    p, g, *slots = given.astype(case.dtype)
    for step in (1, 10**9, 2**40):
        expected = rule.function(step, p, g, *slots, *numbers(case.kernel))
        actual, new = implementation.update(case.kernel, step, p, g, slots, numbers(case.kernel))
        few = 8 * np.finfo(case.dtype).eps
        for name, now, wanted in zip(("parameters", *rule.slots), (actual, *new), expected, strict=True):
            check_close(f"{name} after step {step}", now, wanted, few * max(1.0, float(np.abs(wanted).max())))


@question("optimizer", "update", _one)
def same_bits(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    p, gradients = _arrays(case)
    runs = [_run(implementation, case.kernel, p, gradients) for _ in range(2)]
    check_bits("some steps", [(now, *slots) for now, slots in runs])


def _arrays(case: Case) -> tuple[HostArray, HostArray]:
    rng = case.rng
    return rng.normal(size=case.shape).astype(case.dtype), rng.normal(size=(STEPS, *case.shape)).astype(case.dtype)


def _run(
    implementation: Implementation, rule: str, p: HostArray, gradients: HostArray, given: Given = PLAIN
) -> tuple[HostArray, list[HostArray]]:
    slots = [np.zeros_like(p) for _ in RULES[rule].slots]
    for step, g in enumerate(gradients, 1):
        p, slots = implementation.update(rule, step, p, g, slots, numbers(rule), given)
    return p, slots


def _reference(rule: str, p: HostArray, gradients: HostArray) -> tuple[HostArray, Sequence[HostArray]]:
    slots = [np.zeros_like(p) for _ in RULES[rule].slots]
    for step, g in enumerate(gradients, 1):
        p, *slots = RULES[rule].function(step, p, g, *slots, *numbers(rule))
    return p, slots
