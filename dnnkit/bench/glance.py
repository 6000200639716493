"""Summaries of results: one sentence, a ranking, and a line for each common question."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from math import inf, isfinite

from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.learning import ACCURACIES
from dnnkit.bench.random_networks.summary import geometric_mean, measured, totals
from dnnkit.bench.random_networks.tables import networks_table, totals_table
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import ratio
from dnnkit.deferred import dataclass

NAMED = 4
"""Number of names listed in a sentence; further ones are counted."""
FARTHEST = 8
"""Number of kernels shown, those farthest from their lower bound."""


@dataclass(frozen=True)
class Glance:
    """A summary: a sentence, a ranking if there is one, and answers to common questions."""

    sentence: str
    ranking: Table | None = None
    lines: tuple[str, ...] = ()


@dataclass
class Rank:
    """Cases from fastest to slowest, and those that do not differ from the fastest."""

    rows: list[Row]
    same: list[str] = field(default_factory=list)
    """Names that do not differ significantly from the first."""
    never: list[str] = field(default_factory=list)
    """Names whose median was never reached."""


def glance(results: Results) -> Glance | None:
    """Summarize results; None for empty results and for kinds without a summary."""
    say = SENTENCES.get(results.kind)
    return None if say is None or not results.rows else say(results)


def rank(rows: Sequence[Row], name: str, noise: float) -> Rank:
    """Rank rows by their medians.

    Arguments:
        rows: rows of one quantity; smaller is better.
        name: the column with their names.
        noise: relative difference between runs of identical code.
    """
    found = sorted((row for row in rows if isfinite(row.summary.median)), key=lambda row: row.summary.median)
    never = [str(row.case[name]) for row in rows if not isfinite(row.summary.median)]
    same = [str(row.case[name]) for row in found[1:] if is_same(found[0], row, noise)]
    return Rank(found, same, never)


def is_same(a: Row, b: Row, noise: float) -> bool:
    """Return whether two rows do not differ beyond chance and noise; values never reached count as very large."""
    late = 10 * max(sample for sample in (*a.samples, *b.samples) if isfinite(sample))
    first, second = ([sample if isfinite(sample) else late for sample in row.samples] for row in (a, b))
    return ratio(first, second).verdict(noise) == "indistinguishable"


def names_of(names: Sequence[str]) -> str:
    """Join names as text: "tanh, elu and 3 others"."""
    shown, others = list(names[:NAMED]), len(names) - NAMED
    if others == 1:
        shown, others = list(names), 0
    if others > 0:
        return f"{', '.join(shown)} and {others} others"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""


def duration(seconds: float) -> str:
    """Format seconds with a suitable unit: "41 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
    raise AssertionError


def times(value: float) -> str:
    """Format a ratio: "5.2 ×"."""
    return f"{value:,.0f} ×" if value >= 100 else f"{value:.2g} ×" if value >= 10 else f"{value:.1f} ×"


# -- activations ------------------------------------------------------------------------------------------------------


def _activations(results: Results) -> Glance:
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
                _median(count),
                _median(steps.get(name)),
                Cell("–", -inf) if name not in accuracies else _percent(accuracies[name]),
            )
        )
    head = ("activation", f"ms to {goal}", "quartiles", "× first", "iterations", "µs per step", "final accuracy")
    note = f"Digits, {backend}: training time until the test accuracy is {goal}, median over the seeds."
    return Table(f"Which activation learns first: {backend}", note, head, tuple(lines))


def _median(row: Row | None) -> Cell:
    return Cell("–", inf) if row is None else Cell(number(row.summary.median), row.summary.median)


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


# -- kernels, steps, peers, random networks ---------------------------------------------------------------------------


def _kernels(results: Results) -> Glance:
    rows = results.of("kernels")
    backends = list(dict.fromkeys(str(row.case["backend"]) for row in rows))
    own = [row for row in rows if row.case["backend"] == backends[0]]
    shares = sorted(row.facts["of floor"] for row in own)
    sentence = f"half of {backends[0]}'s kernels reach at least {shares[len(shares) // 2]:.0%} of their upper bound"
    for other in backends[1:]:
        ratios = []
        for row in own:
            found = _row(rows, {**row.case, "backend": other})
            if found is not None:
                ratios.append(found.summary.median / row.summary.median)
        if ratios:
            slower = sum(value < 1 for value in ratios)
            mean = times(geometric_mean(ratios))
            sentence += f"; {other} takes {mean} as long (geometric mean of {len(ratios)}; less for {slower})"
    kinds = {name: {row.case[name] for row in own} for name in ("dtype", "size")}
    lines = []
    for row in sorted(own, key=lambda row: float(row.facts["of floor"]))[:FARTHEST]:
        floor, share = row.facts.get("floor", inf), row.facts["of floor"]
        about = ", ".join(str(row.case[name]) for name, values in kinds.items() if len(values) > 1)
        cells = [text(str(row.case["kernel"])), text(about), _median(row), Cell(number(floor), floor)]
        lines.append((*cells, Cell(f"{share:.0%}", share), text(str(row.facts.get("bound by", "")))))
    head = ("kernel", "arrays", "µs per call", "floor, µs", "reached", "bound by")
    note = f"The {len(lines)} kernels that are farthest from their lower bounds."
    return Glance(sentence, Table(f"Farthest from the floor: {backends[0]}", note, head, tuple(lines)))


def _row(rows: Sequence[Row], case: dict[str, str | int]) -> Row | None:
    return next((row for row in rows if row.case == case), None)


def _steps(results: Results) -> Glance:
    rows = results.of("steps")
    networks, backends = (list(dict.fromkeys(str(row.case[name]) for row in rows)) for name in ("network", "backend"))
    head = (
        "network",
        *(f"{backend}, µs" for backend in backends),
        *(f"{other} ÷" for other in backends[1:]),
        "× floor",
    )
    lines, ratios, floors = [], dict[str, list[float]](), list[float]()
    for network in networks:
        found = {backend: _row(rows, {"network": network, "backend": backend}) for backend in backends}
        own = found[backends[0]]
        cells = [text(network), *(_median(found[backend]) for backend in backends)]
        for other in backends[1:]:
            row = found[other]
            if own is None or row is None:
                cells.append(Cell("–", inf))
                continue
            between = ratio(own.samples, row.samples)
            same = between.verdict(results.noise) == "indistinguishable"
            ratios.setdefault(other, []).append(between.value)
            cells.append(Cell(f"{'≈ ' if same else ''}{times(between.value)}", between.value))
        floor = inf if own is None or not own.facts.get("floor") else own.summary.median / own.facts["floor"]
        floors += [floor] if isfinite(floor) else []
        lines.append((*cells, Cell(f"{floor:.1f}" if isfinite(floor) else "–", floor)))
    parts = [f"{other} takes {_range(values, times)} as long as {backends[0]}" for other, values in ratios.items()]
    if floors:
        parts.append(f"{backends[0]} takes {_range(floors, lambda value: f'{value:.1f}')} times the arithmetic floor")
    note = "Medians. Floor: the matrix products alone, at the rate of the fastest product measured. ≈: within noise."
    return Glance("; ".join(parts), Table("How fast each backend trains", note, head, tuple(lines)))


def _range(values: Sequence[float], words: Callable[[float], str]) -> str:
    least, most = words(min(values)), words(max(values))
    return least if least == most else f"{least.removesuffix(' ×')} to {most}"


def works(results: Results) -> list[Row]:
    """Return the rows of peers except for matrix products and copies, which are limits."""
    return [row for row in results.of("peers") if not str(row.case["work"]).startswith(("gemm", "copy"))]


def _peers(results: Results) -> Glance:
    """Summarize peers: a line for each workload, with dnnkit and the fastest other library."""
    rows = works(results)
    names = list(dict.fromkeys(str(row.case["work"]) for row in rows))
    lines, ratios = [], list[float]()
    for work in names:
        found = [row for row in rows if row.case["work"] == work]
        own = _row(found, {"peer": "dnnkit", "work": work})
        others = rank([row for row in found if row is not own], "peer", results.noise).rows
        quickest = others[0] if others else None
        value = inf if own is None or quickest is None else quickest.summary.median / own.summary.median
        same = (
            own is not None and quickest is not None and len(own.samples) > 1 and is_same(own, quickest, results.noise)
        )
        ratios += [value] if isfinite(value) else []
        lines.append(
            (
                text(work),
                _seconds(own),
                text("–" if quickest is None else str(quickest.case["peer"])),
                _seconds(quickest),
                Cell("–" if not isfinite(value) else f"{'≈ ' if same else ''}{times(value)}", value),
            )
        )
    head = ("work", "dnnkit", "fastest other", "takes", "÷ dnnkit")
    note = "Medians over the processes. ≈: within chance or noise."
    won = sum(value > 1 for value in ratios)
    if not ratios:
        sentence = "no other library was measured: install one, such as torch or jax"
    else:
        sentence = (
            f"dnnkit is faster than every other library on {won} of {len(ratios)} workloads, by {_range(ratios, times)}"
        )
        sentence += "" if won == len(ratios) else " (below 1: slower)"
    single = any(len(row.samples) == 1 for row in rows)
    cautions = ("With one process each the spread is unknown: use --rounds 5.",) if single else ()
    return Glance(sentence, Table("dnnkit and the fastest other library", note, head, tuple(lines)), cautions)


def _seconds(row: Row | None) -> Cell:
    return Cell("–", inf) if row is None else Cell(duration(row.summary.median), row.summary.median)


def _random(results: Results) -> Glance:
    networks = measured(results)
    found = totals(networks, results.noise)
    if not found:
        sentence = f"{len(networks)} networks in dnnkit alone: no other library was measured"
        return Glance(sentence, networks_table(networks, results.noise))
    parts = [f"{total.peer} takes {times(total.mean)} as long (less on {total.slower or 'none'})" for total in found]
    sentence = f"compared with dnnkit, over {found[0].count} networks, {'; '.join(parts)}; geometric means"
    return Glance(sentence, totals_table(networks, results.noise))


SENTENCES: dict[str, Callable[[Results], Glance]] = {
    "activations": _activations,
    "kernels": _kernels,
    "step": _steps,
    "peers": _peers,
    "random": _random,
}
"""Summaries by kind of results."""
