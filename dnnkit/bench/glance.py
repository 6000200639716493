"""Summaries of results: one sentence, a ranking, and a line for each common question."""

from collections.abc import Callable, Sequence
from math import inf, isfinite

from dnnkit.bench.activation_glance import of_activations
from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.random_networks.summary import geometric_mean, measured, totals
from dnnkit.bench.random_networks.tables import networks_table, totals_table
from dnnkit.bench.ranks import Glance, duration, is_same, median_cell, rank, times
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import ratio

FARTHEST = 8
"""Number of kernels shown, those farthest from their lower bound."""


def glance(results: Results) -> Glance | None:
    """Summarize results; None for empty results and for kinds without a summary."""
    say = SENTENCES.get(results.kind)
    return None if say is None or not results.rows else say(results)


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
        cells = [text(str(row.case["kernel"])), text(about), median_cell(row), Cell(number(floor), floor)]
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
        cells = [text(network), *(median_cell(found[backend]) for backend in backends)]
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
    "activations": of_activations,
    "kernels": _kernels,
    "step": _steps,
    "peers": _peers,
    "random": _random,
}
"""Summaries by kind of results."""
