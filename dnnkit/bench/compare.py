"""Comparison of two results files: faster, slower or indistinguishable, row by row, with intervals."""

from collections.abc import Sequence
from math import isfinite, log
from typing import Any, get_args

from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import Ratio, Verdict, noise_of, ratio
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError

TIMES = ("ns per element", "µs per step", "µs per call", "ms per epoch", "s")
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
SHORT: dict[Verdict, str] = {"faster": "faster", "slower": "slower", "indistinguishable": "≈"}
DRIFT = 0.05
"""Relative difference that two runs of the same code may have, because processes, memory and other load differ. Rounds
within a run do not show it, and it is most of the difference between identical runs."""


@dataclass(frozen=True)
class Comparison:
    """A row of A and its change in B."""

    row: Row
    before: float
    after: float
    ratio: Ratio
    verdict: Verdict


def compare(a: Results, b: Results) -> tuple[list[Comparison], list[str], float]:
    """Return the common rows of times, notices, and the smallest difference that is reported.

    The latter is the maximum of A's noise, B's noise, `drift`, and `DRIFT`. Because many rows are compared, intervals
    are widened so that all of them hold together with 95 % confidence (Bonferroni).
    """
    others = {row.key: row for row in b.rows}
    pairs = [(row, others[row.key]) for row in a.rows if row.key in others and _are_times(row, others[row.key])]
    if not pairs:
        raise DataError(f"the files have no rows in common: their kinds are {a.kind} and {b.kind}")
    noise = max(a.noise, b.noise, drift(a, b), DRIFT)
    level = 1 - 0.05 / len(pairs)
    found = []
    for before, after in pairs:
        between = _interval(before.samples, after.samples, level)
        found.append(Comparison(before, before.summary.median, after.summary.median, between, between.verdict(noise)))
    return found, _notices(a, b, len(pairs)), noise


def drift(a: Results, b: Results) -> float:
    """Return the largest relative change of work outside dnnkit: copies, products and NumPy arithmetic."""
    pairs = [(first[name], second[name]) for first, second in _outside(a, b) for name in first.keys() & second.keys()]
    return noise_of([((x,), (y,)) for x, y in pairs if x > 0 and y > 0])


def _outside(a: Results, b: Results) -> list[tuple[dict[str, float], dict[str, float]]]:
    return [(a.controls, b.controls), (a.limits, b.limits)]


def _are_times(a: Row, b: Row) -> bool:
    """Return whether rows are comparable times; tasks that were never learned have none."""
    return a.unit in TIMES and a.unit == b.unit and all(map(isfinite, (*a.samples, *b.samples))) and min(a.samples) > 0


def _interval(a: Sequence[float], b: Sequence[float], level: float) -> Ratio:
    return ratio(a, b, level, paired=False)


def _notices(a: Results, b: Results, common: int) -> list[str]:
    notices = [f"{name}: {text}" for name, results in (("A", a), ("B", b)) for text in results.warnings]
    for name in ("processor", "processors", "clock", "BLAS", "environment", "versions"):
        if a.machine.get(name) != b.machine.get(name):
            notices.append(f"{name} differs: {a.machine.get(name)} and {b.machine.get(name)}")
    if a.settings != b.settings:
        different = sorted(k for k in {*a.settings, *b.settings} if a.settings.get(k) != b.settings.get(k))
        notices.append(f"the settings differ in {', '.join(different)}")
    alone = len({row.key for row in a.rows} ^ {row.key for row in b.rows})
    if alone:
        notices.append(f"{alone} rows are in one file only and were skipped; {common} are compared")
    if (change := drift(a, b)) > DRIFT:
        notices.append(f"the machine changed: work outside dnnkit differs by {change:.1%} between A and B")
    return notices


def words(found: Sequence[Comparison], noise: float) -> str:
    """Return a sentence with the number of rows by verdict."""
    counts = {verdict: sum(item.verdict == verdict for item in found) for verdict in VERDICTS}
    shares = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{len(found)} rows: {shares}; differences below {noise:.1%} are not reported"


def table(found: Sequence[Comparison], noise: float, full: bool) -> Table:
    """Return a table of the rows that differ, the largest change first.

    Arguments:
        found: the comparisons.
        noise: smallest difference that is reported.
        full: whether to include rows that are indistinguishable.
    """
    shown = [item for item in found if full or item.verdict != "indistinguishable"]
    lines = []
    for item in sorted(shown, key=lambda item: -abs(log(item.ratio.value))):
        between, row = item.ratio, item.row
        interval = f"{between.low:.2f} – {between.high:.2f}" if isfinite(between.high) else "–"
        lines.append(
            (
                text(f"{row.table}: {row.title}"),
                Cell(number(item.before), item.before),
                Cell(number(item.after), item.after),
                text(row.unit),
                Cell(f"{between.value:.2f}", between.value),
                Cell(interval, between.high - between.low),
                text(SHORT[item.verdict]),
            )
        )
    head = ("case", "A", "B", "unit", "B / A", "interval", "B is")
    title = "Every row" if full else "What differs"
    return Table(title, f"Differences below {noise:.1%} are not reported.", head, tuple(lines))


def to_json(found: Sequence[Comparison], notices: list[str], noise: float) -> dict[str, Any]:
    """Return JSON values."""
    rows = [
        {
            "table": item.row.table,
            "case": item.row.case,
            "unit": item.row.unit,
            "a": item.before,
            "b": item.after,
            "ratio": item.ratio.value,
            "low": item.ratio.low,
            "high": item.ratio.high,
            "verdict": item.verdict,
        }
        for item in found
    ]
    return {"noise": noise, "notices": notices, "rows": rows}
