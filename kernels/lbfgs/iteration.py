"""L-BFGS iterations, given evaluations of loss and gradient that the caller makes (reverse communication).

`begin` and `advance` set the point of the next evaluation, the trial in the vectors `v`, until `s.is_over`. They are
plain Python on numbers, with `s` an `ITERATION`: backends without compiled code run them unchanged, on arrays
(`reference.py`); Numba compiles them for vectors at addresses (`cpu.py`). So there is only one algorithm, and all
backends follow the same trajectory.
"""

from math import inf, isfinite, sqrt
from typing import Any

from dnnkit.kernels._numba.structure import Structure
from dnnkit.kernels.lbfgs import line_search
from dnnkit.kernels.lbfgs.line_search import FAILED, SEARCHING, begin_search, take
from dnnkit.kernels.lbfgs.reference import go, keep, largest, move, new_direction, note, rate, recall, settle, slope

RUNNING, NO_NUMBER, CONVERGED, FLAT, SPENT, STUCK = range(6)
"""Why iterating ended: it has not; loss or gradient are infinite or NaN; the gradient is within its tolerance; the loss
decreased too little; the evaluations are used up; no step down the gradient lowers the loss.
"""

ITERATION = Structure(
    {
        **line_search.WORDS,
        "is_known": "1 if loss and gradient are known at the start of the next iteration",
        "is_over": "1 if no further evaluation is needed",
        "left": "remaining iterations",
        "pauses": "nonzero to end after the current iteration, or the next",
        "made": "completed iterations",
        "updates": "iterations that changed the parameters",
        "evaluations": "evaluations of loss and gradient since the optimizer started",
        "evaluations_before": "their number at the start of the current iteration",
        "pairs": "number of stored pairs in use: the newest",
        "pairs_before": "their number at the start of the current iteration",
        "ended": "RUNNING, NO_NUMBER, CONVERGED, FLAT, SPENT or STUCK",
        # Vectors, as compiled code sees them.
        "size": "length n of each vector",
        "slots": "slots for pairs: one more than are stored",
        "newest": "slot of the newest pair",
        "recalls": "1 if pairs were restored, whose curvatures are not computed yet",
        "steps": "address of their parameter differences s (slots, n)",
        "changes": "address of their gradient differences y (slots, n)",
        "curvatures": "address of the product s·y of each pair, float64",
        "shares": "address of scratch (slots,), float64",
        "direction": "address of the search direction",
        "now": "address of the parameters at the start of the current iteration",
        "now_gradient": "address of the gradient at `now`",
        "trial": "address of the trial parameters, to be evaluated",
        "trial_gradient": "address of the gradient at `trial`",
        "kept": "address of the lowest trial so far with sufficient decrease",
        "kept_gradient": "address of the gradient at `kept`",
        "rates": "address of the learning rate of each iteration, float64",
        "sums": "address of the sums of loss and metrics at the trial, float64",
        "kept_sums": "address of those at `kept`",
        "measured": "number of these sums",
        "notes": "address of the record of each iteration (iterations, 1 + measured), float64: its loss, the "
        "evaluations so far, and the sums of the metrics",
        "chunks": "chunks of rows per evaluation",
        "penalties": "address of l1 and l2 of each parameter (2, n); 0 without penalties",
        "is_stopped": "1 if the run was interrupted within the iteration",
    },
    {
        **line_search.NUMBERS,
        "value": "loss at the start of the current iteration",
        "largest": "largest magnitude of a gradient element there",
        "fell": "decrease of the loss in the last iteration",
        "initial_step": "maximum length of the very first step, which is the learning rate times the gradient",
        "gradient_tolerance": "for the largest magnitude of a gradient element",
        "change_tolerance": "for the relative decrease of the loss in an iteration",
        "max_evaluations": "number of evaluations after which no iteration begins; 0 for no limit",
        "weight": "divisor of the sum of losses",
    },
)


def reset(s: Any) -> None:
    """Reset the counters before `begin`."""
    s.made, s.updates, s.ended, s.is_over, s.is_stopped = 0, 0, RUNNING, 0, 0
    s.pairs_before, s.evaluations_before = s.pairs, s.evaluations


def begin(s: Any, v: Any) -> None:
    """Begin `s.left` iterations, the first where the last one ended, or at the trial if that is not known."""
    recall(s, v)
    if s.is_known > 0:
        if s.left > 0:
            begin_iteration(s, v)
        else:
            s.is_over = 1


def advance(s: Any, v: Any, value: float) -> None:
    """Continue after an evaluation."""
    if s.is_known == 0:
        s.is_known, s.value = 1, value
        keep(s, v)
        settle(s, v)
        s.largest = largest(s, v)
        if s.left > 0:
            begin_iteration(s, v)
        else:
            s.is_over = 1
        return
    s.evaluations += 1
    take(s, value, slope(s, v))
    if s.keeps > 0:
        keep(s, v)
    if s.outcome == SEARCHING:
        go(s, v)
    elif s.outcome != FAILED:
        arrive(s, v)
        if s.is_over == 0:
            begin_iteration(s, v)
    elif s.pairs > 0:
        s.pairs = 0  # retry along steepest descent, where any smooth loss decreases
        search(s, v)
    else:
        end_iteration(s, v, STUCK)


def give_up(s: Any) -> None:
    """Abandon the running iteration, as if it had not begun."""
    s.pairs, s.evaluations = s.pairs_before, s.evaluations_before


def begin_iteration(s: Any, v: Any) -> None:
    """Begin an iteration at a point of known loss and gradient."""
    s.pairs_before, s.evaluations_before = s.pairs, s.evaluations
    if s.evaluations == 0:
        s.evaluations = 1  # a resumed training has counted its first evaluation before
    if not (isfinite(s.value) and isfinite(s.largest)):
        end_iteration(s, v, NO_NUMBER)
    elif s.largest <= s.gradient_tolerance:
        end_iteration(s, v, CONVERGED)
    else:
        search(s, v)


def search(s: Any, v: Any) -> None:
    """Begin a line search along the direction from the pairs; the length of the very first step is a setting."""
    downhill = new_direction(s, v)
    if s.pairs > 0 and not -inf < downhill < 0:  # due to rounding
        s.pairs = 0
        downhill = new_direction(s, v)
    if not -inf < downhill < 0:
        s.tried = 0
        end_iteration(s, v, STUCK)
        return
    step = rate(s, v)
    if s.pairs == 0:
        step = min(step, s.initial_step / sqrt(-downhill))
    begin_search(s, s.value, downhill, step)
    go(s, v)


def arrive(s: Any, v: Any) -> None:
    """End an iteration at the point that the search has found."""
    before = s.value
    s.value, s.fell = s.low_value, before - s.low_value
    move(s, v)
    s.largest = largest(s, v)
    s.updates += 1
    if s.largest <= s.gradient_tolerance:
        end_iteration(s, v, CONVERGED)
    elif s.fell <= s.change_tolerance * abs(before):
        end_iteration(s, v, FLAT)
    elif 0 < s.max_evaluations <= s.evaluations:
        end_iteration(s, v, SPENT)
    else:
        end_iteration(s, v, RUNNING)


def end_iteration(s: Any, v: Any, reason: int) -> None:
    """Record the result of the iteration, and whether it is the last."""
    s.ended = reason
    note(s, v)
    s.made += 1
    s.left -= 1
    s.pairs_before, s.evaluations_before = s.pairs, s.evaluations
    s.is_over = 1 if reason != RUNNING or s.left <= 0 or s.pauses != 0 else 0
