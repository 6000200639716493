"""Results in JSON as a Markdown table, with a plot next to it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .plots import plot_growth, plot_works
from .results import MEASURED, Results, Summary, duration
from .works import OWN, Work, product_flops, update_bytes

RATES = {
    "gemm": "products of two {size} × {size} matrices, GFLOP/s",
    "copy": "copies of {mebibytes:g} MiB, GB/s read and written",
}


def markdown(results: Results, plot: str) -> str:
    """Return the whole report."""
    body = _growth(results) if results.growth else _works(results)
    title = "The cost of growth" if results.growth else "dnnkit and its peers"
    head = [f"# {title}", "", *_conditions(results), "", f"![{title}]({plot})", ""]
    return "\n".join([*head, *body, *_troubles(results)])


def _conditions(results: Results) -> Iterator[str]:
    raw = results.raw
    machine, options = raw["machine"], raw["options"]
    environment = ", ".join(f"{name}={value}" for name, value in machine["environment"].items()) or "none set"
    loads = [record["load"] for record in raw["records"] if record["load"] is not None]
    rounds = len({record["round"] for record in raw["records"]})
    yield f"- {raw['date']}; {rounds} of {options['rounds']} rounds, one process per peer and round, peers in turn"
    yield f"- {machine['processors']} processors ({machine['processor']}), {machine['system']}"
    yield f"- data: {options['data']}" + (f", at most {options['samples']:,} samples" if options["samples"] else "")
    yield f"- variables for threads and BLAS: {environment}"
    if loads:
        yield f"- load average before a process: {min(loads)} to {max(loads)}, median {median(loads):.2f}"
    for work in results.works:
        if work.kind in RATES and (rates := results.rates(work.kind)):
            found = ", ".join(f"{peer} {rate / 1e9:.0f}" for rate, peer in rates)
            what = RATES[work.kind].format(size=work.size, mebibytes=work.size / 2**18)
            yield f"- {what}: {found}; the fastest counts"
    yield ""
    yield "| peer | versions | setting | threads | BLAS and OpenMP found in its process |"
    yield "| --- | --- | --- | --- | --- |"
    for name, peer in raw["peers"].items():
        versions = ", ".join(f"{package} {version}" for package, version in peer["versions"].items())
        kernels = f" ({peer['kernels']})" if peer.get("kernels") else ""
        yield f"| {name} | {versions} | {peer['setting']}{kernels} | {peer['threads']} | {_pools(raw, name)} |"


def _pools(raw: dict[str, Any], peer: str) -> str:
    found = {
        " ".join(filter(None, (pool["of"] + ":", pool["library"], pool["version"], pool["kernels"])))
        + f", {pool['threads']} threads"
        for record in raw["records"]
        if record["peer"] == peer
        for pool in record.get("pools", ())
    }
    return "; ".join(sorted(found)) or "–"


def _works(results: Results) -> Iterator[str]:
    works = [work for work in results.works if work.kind in MEASURED]
    yield from _overview(results, works)
    for work in works:
        yield from _work(results, work)
    yield from _memory(results, works)


def _overview(results: Results, works: Sequence[Work]) -> Iterator[str]:
    yield "| work | dnnkit | fastest other | dnnkit is faster by | × floor | targets |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for work in works:
        summaries = results.summaries(work)
        own = next((s for s in summaries if s.peer == OWN), None)
        other = next((s for s in summaries if s.family != OWN), None)
        floor, verdicts = results.floor(work), results.verdicts(work)
        cells = (
            f"{work.name}. {work.title}",
            duration(own.seconds) if own else "–",
            f"{other.peer}, {duration(other.seconds)}" if other else "–",
            f"{other.seconds / own.seconds:.2f}×" if own and other else "–",
            f"{own.seconds / floor:.2f}" if own and floor else "–",
            f"{sum(verdict.holds for verdict in verdicts)} of {len(verdicts)}",
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def _work(results: Results, work: Work) -> Iterator[str]:
    summaries, differing = results.summaries(work), results.disagreements(work)
    floor = results.floor(work)
    own = next((summary for summary in summaries if summary.peer == OWN), None)
    names = {"train": ("loss", "accuracy"), "neuron": ("loss",), "predict": ("check",)}[work.kind]
    yield f"## {work.name}. {work.title}"
    yield ""
    header = ("peer", "median", "quartiles", "dnnkit is faster by (range of rounds)", "× floor", *names)
    yield f"| {' | '.join((*header, 'first', 'processors busy'))} |"
    yield "| --- " * (len(header) + 2) + "|"
    for summary in summaries:
        cells = [
            f"**{summary.peer}**" if summary.family == OWN else summary.peer,
            duration(summary.seconds),
            " – ".join(duration(value) for value in summary.quartiles),
            _faster(own, summary),
            f"{summary.seconds / floor:.2f}" if floor else "–",
            *(_number(summary.middle(name)) for name in names),
            duration(summary.middle("first") or 0.0),
            f"{summary.middle('cores') or 0.0:.1f}",
        ]
        cells[5 + len(names) - 1] += " (differs)" if summary.peer in differing else ""
        yield f"| {' | '.join(cells)} |"
    if floor:
        yield f"| *arithmetic floor* | {duration(floor)} | | | 1 |{' |' * (len(names) + 2)}"
    yield ""
    if floor:
        yield _floor_text(results, work)
    for verdict in results.verdicts(work):
        yield f"- {verdict}"
    for peer, how in differing.items():
        yield f"- **{peer} differs**: {how}"
    if not differing and len(summaries) > 1:
        yield f"- all agree in {names[-1]}"
    yield ""


def _floor_text(results: Results, work: Work) -> str:
    words = f"- floor: {product_flops(work) / 1e9:.4g} GFLOP in an epoch's matrix products"
    if rates := results.rates("copy"):
        moved = update_bytes(work)
        time = duration(moved / rates[0][0])
        words += f"; in addition, the updates' {moved / 1e9:.3g} GB would take {time} at the rate of a copy"
    return words


def _faster(own: Summary | None, other: Summary) -> str:
    if own is None or other.peer == own.peer:
        return "–"
    common = sorted(own.rounds.keys() & other.rounds.keys())
    ratios = [other.rounds[number] / own.rounds[number] for number in common]
    span = f" ({min(ratios):.2f} – {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{other.seconds / own.seconds:.2f}×{span}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _memory(results: Results, works: Sequence[Work]) -> Iterator[str]:
    yield "## Peak memory, MiB"
    yield ""
    yield "Whole process: interpreter, library, data and working memory."
    yield ""
    yield f"| peer | {' | '.join(work.name for work in works)} |"
    yield "| --- " * (len(works) + 1) + "|"
    for peer in results.raw["peers"]:
        cells = []
        for work in works:
            summary = next((s for s in results.summaries(work) if s.peer == peer), None)
            memory = summary.middle("memory") if summary else None
            cells.append("–" if memory is None else f"{memory / 2**20:,.0f}")
        yield f"| {peer} | {' | '.join(cells)} |"
    yield ""


def _growth(results: Results) -> Iterator[str]:
    peers = list(results.raw["peers"])
    for axis in dict.fromkeys(work.axis for work in results.works):
        yield f"## Time per step by {axis}"
        yield ""
        yield f"| {axis} | {' | '.join(peers)} |"
        yield "| --- " * (len(peers) + 1) + "|"
        for work in results.works:
            if work.axis == axis:
                found = {summary.peer: summary.seconds / work.steps for summary in results.summaries(work)}
                cells = [duration(found[peer]) if peer in found else "–" for peer in peers]
                yield f"| {work.value:,} | {' | '.join(cells)} |"
        yield ""


def _troubles(results: Results) -> Iterator[str]:
    left_out, failures = results.raw["left_out"], results.raw["failures"]
    if left_out or failures:
        yield "## Not measured"
        yield ""
    for peer, reason in left_out.items():
        yield f"- {peer}: {reason}"
    for failure in failures:
        yield f"- {failure['peer']}, work {failure['work']}, round {failure['round'] + 1}: {failure['error']}"
    if left_out or failures:
        yield ""


def write(path: Path) -> tuple[Path, Path]:
    """Write the Markdown and the plot next to the results."""
    results = Results(json.loads(path.read_text()))
    table, picture = path.with_suffix(".md"), path.with_suffix(".png")
    table.write_text(markdown(results, picture.name))
    figure = plot_growth(results) if results.growth else plot_works(results)
    figure.savefig(picture, dpi=130)
    return table, picture
