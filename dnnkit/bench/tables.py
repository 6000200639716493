"""Results as tables, alike in terminal and report; each cell has a text and a value to sort by."""

from collections.abc import Iterator
from math import inf, isfinite

from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.random_networks.tables import tables as random_networks
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import LEVEL, NOISY, ratio

VARIES = {"elements": "activation", "step": "activation", "kernels": "backend", "steps": "backend", "peers": "peer"}
"""The column that varies within a table: rows are compared with its first value, all else being equal."""

PARTS = {"elements": ("backend", "cache"), "kernels": ("dtype", "size"), "steps": ("backend",), "peers": ("work",)}
"""Columns by which a wide table is split."""


def tables(results: Results) -> list[Table]:
    """Return the tables for which there are results."""
    found = [
        _speeds(
            results,
            "elements",
            "One element",
            "Forward and backward; warm: in the processor's own cache, cold: from memory. Of bandwidth: share of the "
            "bandwidth of a copy that is also warm or cold.",
        ),
        _speeds(results, "step", "A training step", "The digits network, batch 32, Adam."),
        _learning(results),
        _speeds(
            results,
            "kernels",
            "Kernels",
            "The floor is the larger of two times: the bytes moved at the rate of a copy of the same size, and the "
            "operations at the rate of the fastest matrix product. Kernels that write less than a copy may exceed "
            "100 %.",
        ),
        _speeds(
            results,
            "steps",
            "Training steps",
            "The floor is the arithmetic of the matrix products at the rate of the fastest product measured.",
        ),
        _speeds(results, "peers", "Peers", "One process each, in turn; ratios to dnnkit's time."),
        *random_networks(results),
    ]
    return [table for table in found if table is not None and table.lines]


def _speeds(results: Results, name: str, title: str, note: str) -> Table | None:
    rows = results.of(name)
    if not rows:
        return None
    names = tuple(dict.fromkeys(column for row in rows for column in row.case))
    shared = "of bandwidth" if name == "elements" else "of floor"
    has_share = any(shared in row.facts for row in rows)
    head = (
        *names,
        rows[0].unit,
        "quartiles",
        "outliers",
        *([shared] if has_share else []),
        f"against {rows[0].case[VARIES[name]]}",
    )
    lines = []
    for row in rows:
        cells = [*(text(str(row.case.get(column, ""))) for column in names), *_spread(row)]
        if has_share:
            share = row.facts.get(shared)
            cells.append(Cell("–" if share is None else f"{share:.0%}", -inf if share is None else share))
        cells.append(_against(row, _baseline(rows, row, VARIES[name]), results.noise))
        lines.append(tuple(cells))
    return Table(title, note, head, tuple(lines), parts=PARTS.get(name, ()))


def _spread(row: Row) -> Iterator[Cell]:
    found = row.summary
    yield Cell(number(found.median), found.median)
    yield Cell(f"{number(found.low)} – {number(found.high)}", found.high - found.low if isfinite(found.high) else inf)
    extreme = f"{found.outliers} of {found.count}, up to {number(found.most)}" if found.outliers else "none"
    yield Cell(extreme, float(found.outliers))


def _baseline(rows: list[Row], row: Row, varies: str) -> Row | None:
    """Return the row of the same case with the first value of the varying column."""
    case = {**row.case, varies: rows[0].case[varies]}
    return next((other for other in rows if other.case == case), None)


def _against(row: Row, base: Row | None, noise: float) -> Cell:
    """Return the ratio with its interval; ≈ if it is within chance or the noise of identical code."""
    if row is base:
        return Cell("1", 1.0)
    if base is None:
        return Cell("–", inf)
    if not all(map(isfinite, (*row.samples, *base.samples))) or min(base.samples) <= 0:
        return Cell("–", inf)
    found = ratio(base.samples, row.samples, LEVEL)
    same = found.verdict(noise) == "indistinguishable"
    if min(len(base.samples), len(row.samples)) == 1:
        return Cell(f"{found.value:.2f}× (one sample)", found.value)
    interval = f" ({found.low:.2f} – {found.high:.2f})" if isfinite(found.high) else ""
    return Cell(f"{'≈ ' if same else ''}{found.value:.2f}×{interval}", found.value)


def _learning(results: Results) -> Table | None:
    """Return a table with a line per task, activation and backend: iterations, seconds, successful seeds."""
    lines = []
    rows = {row.key: row for row in results.of("learning")}
    for row in rows.values():
        if row.case["quantity"] == "seconds":
            continue
        case = {name: value for name, value in row.case.items() if name != "quantity"}
        seconds = rows.get(Row("learning", {**case, "quantity": "seconds"}, "s", (0.0,)).key)
        has_seconds = row.case["quantity"] == "iterations" and seconds is not None
        reached = f"{row.facts['reached']} of {row.facts['of']}" if "reached" in row.facts else "–"
        quantity = str(row.case["quantity"])
        lines.append(
            (
                text(str(case["task"])),
                text(str(case["activation"])),
                text(str(case["backend"])),
                text(quantity),
                *list(_spread(row))[:2],
                *(
                    list(_spread(seconds))[:2]
                    if has_seconds and seconds is not None
                    else (Cell("–", inf), Cell("–", inf))
                ),
                Cell(reached, float(row.facts.get("reached", -1))),
            )
        )
    head = ("task", "activation", "backend", "quantity", "median", "quartiles", "seconds", "quartiles ", "seeds")
    note = (
        "Truth table: until every prediction of a neuron is within 0.05; digits: until the test accuracy is reached. "
        "Seconds are training time only. never: fewer than half of the seeds succeeded within the limits."
    )
    return Table("Learning", note, head, tuple(lines), parts=("task",)) if lines else None


def noise_text(results: Results) -> str:
    """Describe the difference between runs of identical code."""
    if not results.identical:
        return "identical code was not compared"
    verdict = "too much for small differences" if results.noise > NOISY else "larger differences can be resolved"
    return f"identical code differed by {results.noise:.1%}: {verdict}"
