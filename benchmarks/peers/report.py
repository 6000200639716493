"""From results in JSON to a table in Markdown and a plot. Medians are over rounds of the median within each process."""

import json
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.peers.works import (
    BEST,
    FLOAT_BYTES,
    FLOOR,
    OWN,
    Target,
    Work,
    arithmetic_floor,
    product_flops,
    update_bytes,
)

SCHEMA = 1
ACCURACY_TOLERANCE = 0.01
CHECK_TOLERANCE = 1e-3
"""Relative, of what does not depend on the order of samples: a neuron's loss, the mean of predictions."""
COLORS = {"own": "#1f6fb4", "peer": "#b9c0c7", "floor": "#c8321e"}
LINES = ("#e08214", "#3a9d5d", "#8c5fb0", "#c8321e", "#7f7f7f", "#17becf")
MEASURED = "train", "predict", "neuron"
RATES = {
    "gemm": "products of two {size} × {size} matrices, GFLOP/s",
    "copy": "copies of {mebibytes:g} MiB, GB/s read and written",
}


class Summary(NamedTuple):
    """What a peer needed for a work."""

    peer: str
    family: str
    rounds: dict[int, float]
    records: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """The median over the rounds."""
        return median(self.rounds.values())

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and upper one."""
        low, high = np.quantile(list(self.rounds.values()), (0.25, 0.75))
        return float(low), float(high)

    def middle(self, name: str) -> float | None:
        """The median of another quantity, None where it was not measured."""
        values = [record[name] for record in self.records if record.get(name) is not None]
        return median(values) if values else None


class Verdict(NamedTuple):
    """A target and what was reached: times as fast as a peer, or, of the floor, times as slow."""

    target: Target
    reached: float | None
    """None where it was not measured."""
    than: str

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        if self.reached is None:
            return False
        floor = self.target.against == FLOOR
        return self.reached <= self.target.factor if floor else self.reached >= self.target.factor

    def __str__(self) -> str:
        if self.target.against == FLOOR:
            asked = f"at most {self.target.factor:g}× the floor"
        else:
            asked = f"at least {self.target.factor:g}× as fast as {self.than}"
        if self.reached is None:
            return f"{asked}: not measured"
        return f"{asked}: {self.reached:.2f}×, {'reached' if self.holds else 'missed'}"


class Results:
    """The results of a run, asked for what the report tells."""

    def __init__(self, results: dict[str, Any]) -> None:
        if results.get("schema") != SCHEMA:
            raise SystemExit(f"these results have schema {results.get('schema')!r}; this report reads {SCHEMA}")
        self.raw = results
        self.works = [Work.from_json(work) for work in results["works"]]
        self.growth = results["kind"] == "growth"

    def summaries(self, work: Work) -> list[Summary]:
        """The peers that did a work, the fastest first."""
        found = []
        for name, peer in self.raw["peers"].items():
            records = [r for r in self.raw["records"] if (r["work"], r["peer"]) == (work.name, name)]
            if records:
                rounds = {record["round"]: seconds_of(record) for record in records}
                found.append(Summary(name, peer["family"], rounds, records))
        return sorted(found, key=lambda summary: summary.seconds)

    def rates(self, kind: str) -> list[tuple[float, str]]:
        """(FLOPs or bytes per second, peer) of products or copies, the fastest first; of each, the best repetition."""
        rates: dict[str, float] = {}
        for work in self.works:
            amount = 2 * work.size**3 if kind == "gemm" else 2 * FLOAT_BYTES * work.size
            for record in self.raw["records"]:
                if work.kind == kind and record["work"] == work.name:
                    rate = amount / min(record["seconds"])
                    rates[record["peer"]] = max(rate, rates.get(record["peer"], 0.0))
        return sorted(((rate, peer) for peer, rate in rates.items()), reverse=True)

    def floor(self, work: Work) -> float | None:
        """The arithmetic floor of an epoch."""
        rates = self.rates("gemm")
        return arithmetic_floor(work, rates[0][0]) if rates and work.kind == "train" else None

    def verdicts(self, work: Work) -> list[Verdict]:
        """Each target, with the fastest of the peers that it speaks of."""
        summaries = self.summaries(work)
        own = next((summary for summary in summaries if summary.peer == OWN), None)
        verdicts = []
        for target in work.targets:
            if target.against == FLOOR:
                floor = self.floor(work)
                reached = own.seconds / floor if own and floor else None
                verdicts.append(Verdict(target, reached, FLOOR))
                continue
            others = [s for s in summaries if s.family != OWN and target.against in (s.family, BEST)]
            reached = others[0].seconds / own.seconds if own and others else None
            than = others[0].peer if others else target.against
            verdicts.append(Verdict(target, reached, f"the {BEST}, {than}" if target.against == BEST else than))
        return verdicts

    def disagreements(self, work: Work) -> dict[str, str]:
        """The peers that did other work, as far as accuracy, loss or predictions tell, and how they differ."""
        summaries = self.summaries(work)
        reference = next((s for s in summaries if s.peer == OWN), summaries[0] if summaries else None)
        name, tolerance = {
            "train": ("accuracy", ACCURACY_TOLERANCE),
            "neuron": ("loss", CHECK_TOLERANCE),
            "predict": ("check", CHECK_TOLERANCE),
        }.get(work.kind, ("", 0.0))
        found = {}
        for summary in summaries:
            assert reference is not None
            value, expected = summary.middle(name), reference.middle(name)
            if value is None or expected is None:
                continue
            scale = 1.0 if work.kind == "train" else abs(expected)
            if not abs(value - expected) <= tolerance * scale:
                found[summary.peer] = f"{name} {value:.4g}, {reference.peer}'s is {expected:.4g}"
        return found


def seconds_of(record: dict[str, Any]) -> float:
    """What a process measured: the median of its repetitions."""
    return median(record["seconds"])


def duration(seconds: float) -> str:
    """With three digits and a unit that suits it."""
    value, unit = _with_unit(seconds)
    digits = 2 - int(np.floor(np.log10(max(float(f"{value:.3g}"), 1e-9))))
    return f"{value:.{max(0, digits)}f} {unit}"


def _with_unit(seconds: float) -> tuple[float, str]:
    if seconds >= 0.9995:
        return seconds, "s"
    return (seconds * 1e3, "ms") if seconds >= 0.9995e-3 else (seconds * 1e6, "µs")


# -- Markdown --------------------------------------------------------------------------------------------------------


def markdown(results: Results, plot: str) -> str:
    """The whole report."""
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
    yield f"- {raw['date']}; {rounds} of {options['rounds']} rounds, one process a peer and round, peers in turn"
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
        yield _floor_words(results, work)
    for verdict in results.verdicts(work):
        yield f"- {verdict}"
    for peer, how in differing.items():
        yield f"- **{peer} differs**: {how}"
    if not differing and len(summaries) > 1:
        yield f"- all agree in {names[-1]}"
    yield ""


def _floor_words(results: Results, work: Work) -> str:
    words = f"- floor: {product_flops(work) / 1e9:.4g} GFLOP in an epoch's products"
    if rates := results.rates("copy"):
        moved = update_bytes(work)
        time = duration(moved / rates[0][0])
        words += f"; beside it, the updates' {moved / 1e9:.3g} GB would take {time} at the rate of a copy"
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
    yield "Of the whole process: the interpreter, the library, the data, and what the work needs."
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


# -- plots -----------------------------------------------------------------------------------------------------------


def plot_works(results: Results) -> Figure:
    """A panel a work: a bar a peer on a logarithmic scale, quartiles as whiskers, the floor as a line."""
    works = [work for work in results.works if work.kind in MEASURED and results.summaries(work)]
    rows = -(-len(works) // 2)
    height = 0.9 + 0.27 * max((len(results.summaries(work)) for work in works), default=1)
    figure = Figure(figsize=(12, height * max(1, rows)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(max(1, rows), 2)).reshape(-1)
    for axes in panels[len(works) :]:
        axes.axis("off")
    for axes, work in zip(panels, works, strict=False):
        _bars(axes, work, results.summaries(work), results.floor(work))
    return figure


def _bars(axes: Axes, work: Work, summaries: Sequence[Summary], floor: float | None) -> None:
    seconds = [summary.seconds for summary in summaries]
    whiskers = [
        [summary.seconds - summary.quartiles[0] for summary in summaries],
        [summary.quartiles[1] - summary.seconds for summary in summaries],
    ]
    colors = [COLORS["own" if summary.family == OWN else "peer"] for summary in summaries]
    names = [summary.peer for summary in summaries]
    axes.barh(names, seconds, xerr=np.maximum(whiskers, 0), color=colors, ecolor="#404040", capsize=2)
    axes.invert_yaxis()
    axes.set_xscale("log")
    smallest = min([*seconds, floor or seconds[0]])
    largest = max(summary.quartiles[1] for summary in summaries)
    axes.set_xlim(smallest / 1.5, largest * (largest / smallest) ** 0.25 * 1.7)
    for place, summary in enumerate(summaries):
        text = duration(summary.seconds)
        axes.annotate(text, (summary.quartiles[1], place), (6, 0), textcoords="offset points", va="center", fontsize=8)
    if floor:
        axes.axvline(floor, color=COLORS["floor"], linestyle="--", label=f"arithmetic floor, {duration(floor)}")
        axes.legend(frameon=False, fontsize=8, loc="upper right")
    axes.set_title(f"{work.name}. {work.title}", fontsize=10, loc="left")
    _in_durations(axes.xaxis, largest > 30 * smallest)
    axes.set_xlabel("an epoch" if work.kind == "train" else "a call", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)


def _in_durations(axis: Axis, wide: bool) -> None:
    """Ticks of a logarithmic axis as durations, fewer where the axis is wide."""
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: "{:g} {}".format(*_with_unit(value))))
    axis.set_minor_formatter(NullFormatter())


def plot_growth(results: Results) -> Figure:
    """A panel an axis: time per step, both scales logarithmic, quartiles as a band."""
    axes_names = list(dict.fromkeys(work.axis for work in results.works))
    figure = Figure(figsize=(12, 4.2 * -(-len(axes_names) // 2)), layout="constrained")
    panels = np.atleast_1d(figure.subplots(-(-len(axes_names) // 2), 2)).reshape(-1)
    labels = {"width": "hidden units", "depth": "hidden layers of 256", "batch": "rows a batch", "samples": "samples"}
    peers = list(results.raw["peers"])
    colors = dict(zip([peer for peer in peers if peer != OWN], cycle(LINES), strict=False)) | {OWN: COLORS["own"]}
    for axes, axis in zip(panels, axes_names, strict=False):
        works = [work for work in results.works if work.axis == axis]
        for peer in peers:
            found = [(work, s) for work in works for s in results.summaries(work) if s.peer == peer]
            if not found:
                continue
            values = [work.value for work, _ in found]
            times = [summary.seconds / work.steps for work, summary in found]
            width = 2.2 if peer == OWN else 1.4
            axes.plot(values, times, marker="o", markersize=4, label=peer, color=colors[peer], linewidth=width)
            low, high = zip(*(np.divide(s.quartiles, work.steps) for work, s in found), strict=True)
            axes.fill_between(values, low, high, color=colors[peer], alpha=0.15, linewidth=0)
        axes.set(xscale="log", yscale="log", xlabel=labels.get(axis, axis), ylabel="time a step")
        low, high = axes.get_ylim()
        missing = max(1.0, 20 * low / high)  # what does not grow should look so
        axes.set_ylim(low / missing**0.5, high * missing**0.5)
        _in_durations(axes.yaxis, high > 30 * low)
        axes.set_xticks([work.value for work in works], [f"{work.value:,}" for work in works], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    return figure


def write(path: Path) -> tuple[Path, Path]:
    """The Markdown and the plot beside the results."""
    results = Results(json.loads(path.read_text()))
    table, picture = path.with_suffix(".md"), path.with_suffix(".png")
    table.write_text(markdown(results, picture.name))
    figure = plot_growth(results) if results.growth else plot_works(results)
    figure.savefig(picture, dpi=130)
    return table, picture
