"""Summary of a comparison of activations: which reaches a goal first, and why."""

from collections.abc import Iterator, Sequence
from math import inf, isfinite

from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.learning import ACCURACIES
from dnnkit.bench.ranks import Glance, Rank, duration, median_cell, names_of, rank, times
from dnnkit.bench.results import Results, Row


def of_activations(results: Results) -> Glance:
    """Summarize activations on the first backend: the time to the highest accuracy that any of them reaches."""
    backend = str(results.rows[0].case["backend"])
    steps = rank([row for row in results.of("step") if row.case["backend"] == backend], "activation", results.noise)
    goal, seconds = _goal(results, backend)
    lines = [*_per_iteration(steps), *_iterations(results, backend, goal), *_growth(results, backend, goal)]
    if not seconds.rows:
        reached = " or ".join(f"{accuracy:.0%}" for accuracy in ACCURACIES)
        return Glance(
            f"no activation reaches {reached} within these epochs on {backend}: increase --epochs",
            _activation_table(results, backend, goal, steps.rows),
            tuple(lines),
        )
    first, last = seconds.rows[0], seconds.rows[-1]
    parts = [f"{first.case['activation']} reaches {goal} first, in {duration(first.summary.median)}"]
    if seconds.same:
        parts.append(f"{names_of(seconds.same)} within noise")
    if last is not first and str(last.case["activation"]) not in seconds.same:
        parts.append(f"{last.case['activation']} takes {times(last.summary.median / first.summary.median)}")
    if seconds.never:
        parts.append(f"{names_of(seconds.never)} never")
    sentence = f"{'; '.join(parts)} (digits, {backend})"
    return Glance(sentence, _activation_table(results, backend, goal, seconds.rows), tuple(lines))


def _goal(results: Results, backend: str) -> tuple[str, Rank]:
    """Return the highest accuracy that any activation reached, as "97 %", and the ranking by time to reach it."""
    found = Rank([])
    for accuracy in sorted(ACCURACIES, reverse=True):
        found = rank(_of_digits(results, backend, accuracy, "seconds"), "activation", results.noise)
        if found.rows:
            return f"{100 * accuracy:.0f} %", found
    return f"{100 * min(ACCURACIES):.0f} %", found


def _of_digits(results: Results, backend: str, accuracy: float, quantity: str) -> list[Row]:
    wanted = {"task": f"digits to {accuracy:.0%}", "backend": backend, "quantity": quantity}
    return [row for row in results.of("learning") if wanted.items() <= row.case.items()]


def _by_activation(rows: Sequence[Row]) -> dict[str, Row]:
    return {str(row.case["activation"]): row for row in rows}


def _share(goal: str) -> float:
    return float(goal.removesuffix(" %")) / 100


def _activation_table(results: Results, backend: str, goal: str, ranked: Sequence[Row]) -> Table:
    """Return the table: ranked activations first, then those that never reached the goal."""
    share = _share(goal)
    seconds, iterations = (
        _by_activation(_of_digits(results, backend, share, what)) for what in ("seconds", "iterations")
    )
    steps = _by_activation([row for row in results.of("step") if row.case["backend"] == backend])
    wanted = {"task": "digits", "backend": backend, "quantity": "final accuracy"}
    accuracies = _by_activation([row for row in results.of("learning") if wanted.items() <= row.case.items()])
    names = [str(row.case["activation"]) for row in ranked]
    names += [name for name in (seconds or steps) if name not in names]
    best = min((row.summary.median for row in seconds.values()), default=inf)
    lines = []
    for name in names:
        row, count = seconds.get(name), iterations.get(name)
        median = inf if row is None else row.summary.median
        is_there = row is not None and isfinite(row.summary.low)
        spread = f"{number(1e3 * row.summary.low)} – {number(1e3 * row.summary.high)}" if row and is_there else "–"
        lines.append(
            (
                text(name),
                Cell(number(1e3 * median), median),
                Cell(spread, inf if row is None else row.summary.high),
                Cell(times(median / best) if isfinite(median) and isfinite(best) else "–", median),
                median_cell(count),
                median_cell(steps.get(name)),
                Cell("–", -inf) if name not in accuracies else _percent(accuracies[name]),
            )
        )
    head = ("activation", f"ms to {goal}", "quartiles", "× first", "iterations", "µs per step", "final accuracy")
    note = f"Digits, {backend}: training time until the test accuracy is {goal}, median over the seeds."
    return Table(f"Which activation learns first: {backend}", note, head, tuple(lines))


def _percent(row: Row) -> Cell:
    return Cell(f"{100 * row.summary.median:.1f} %", row.summary.median)


def _per_iteration(steps: Rank) -> Iterator[str]:
    if len(steps.rows) < 2:
        return
    yield f"Faster per iteration? {_between(steps, 'takes', ' µs per step')}."


def _iterations(results: Results, backend: str, goal: str) -> Iterator[str]:
    found = rank(_of_digits(results, backend, _share(goal), "iterations"), "activation", results.noise)
    if len(found.rows) >= 2:
        yield f"Fewer iterations? {_between(found, 'needs', f' to {goal}')}."


def _between(found: Rank, does: str, what: str) -> str:
    """Describe the first and last of a ranking, as far as they differ."""
    first, last = found.rows[0], found.rows[-1]
    least, most = first.summary.median, last.summary.median
    if len(found.same) == len(found.rows) - 1:
        span = number(least) if number(least) == number(most) else f"{number(least)} to {number(most)}"
        return f"no difference beyond noise: {span}{what}"
    words = f"{first.case['activation']} {does} {number(least)}{what}"
    words += f"; {names_of(found.same)} within noise" if found.same else ""
    if str(last.case["activation"]) not in found.same:
        words += f"; {last.case['activation']} {number(most)} ({times(most / least)})"
    return words


def _growth(results: Results, backend: str, goal: str) -> Iterator[str]:
    """Answer whether the cost of an activation determines the training time."""
    elements: dict[str, float] = {}
    for row in results.of("elements"):
        if row.case["backend"] == backend and row.case["cache"] == "warm":
            name = str(row.case["activation"])
            elements[name] = elements.get(name, 0.0) + row.summary.median
    if len(elements) < 2:
        return
    cheapest, dearest = (pick(elements, key=lambda name: elements[name]) for pick in (min, max))
    yield (
        f"Does time grow with the activation? Forward and backward of an element take {number(elements[cheapest])} ns "
        f"({cheapest}) to {number(elements[dearest])} ns ({dearest}), {times(elements[dearest] / elements[cheapest])}."
    )
    share = _share(goal)
    seconds, counts = (_by_activation(_of_digits(results, backend, share, what)) for what in ("seconds", "iterations"))
    steps = _by_activation([row for row in results.of("step") if row.case["backend"] == backend])
    names = [name for name in seconds if name in steps and isfinite(seconds[name].summary.median)]
    if len(names) >= 5:
        by_count, by_step = (
            _rank_correlation(
                [seconds[name].summary.median for name in names], [rows[name].summary.median for name in names]
            )
            for rows in (counts, steps)
        )
        yield (
            f"What decides the time to {goal}? Its rank correlation is {by_count:.2f} with the iterations, "
            f"{by_step:.2f} with the time per step."
        )


def _rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's rank correlation; ties share their mean rank."""
    import numpy as np

    def ranks(values: Sequence[float]) -> list[float]:
        return [
            sum(other < value for other in values) + 0.5 * sum(other == value for other in values) for value in values
        ]

    first, second = np.asarray(ranks(a)), np.asarray(ranks(b))
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean() / spread) if spread else 0.0
