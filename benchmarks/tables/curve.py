"""The curve of error against seconds that the estimators' defaults were chosen from, on the tuning sets only.

    python -m benchmarks.tables.curve                   # measure what is missing, then write JSON, Markdown, figure

Each variant differs from the default as its label says. Errors are misclassification rates, or root mean squared
errors divided by the standard deviation, relative to HistGradientBoosting's on the same rows. The first 4,000 rows of
a set in a fixed order are split into two halves; each is the training set once. Seconds are the processor time of all
fits with one thread: members are independent, so more threads divide it.
"""

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.tables import records, scores
from benchmarks.tables.loading import load
from benchmarks.tables.measuring import one_thread
from benchmarks.tables.methods import get
from benchmarks.tables.tuning import TUNING

ROWS = 4000
RECORDS, OUT = Path("runs/tables/curve.jsonl"), Path("benchmarks/results")
LEAST = 0.005
"""Added to errors before they are divided, because some are nearly 0."""


@dataclass(frozen=True)
class Variant:
    """Difference from the default.

    Attributes:
        family: line of the figure that it belongs to.
        label: the difference, in words.
        parameters: parameters of the estimator.
    """

    family: str
    label: str
    parameters: Mapping[str, Any]


REALMLP: dict[str, Any] = {
    "n_ensemble": 1,
    "validation_fraction": 0.2,
    "hidden_layer_sizes": (256, 256, 256),
    "max_iter": 256,
    "batch_size": 256,
    "calibration": None,
}
"""Settings of RealMLP-TD-S that replace the default's; it has SELU for classification, too."""


def of(family: str, name: str, values: list[Any], words: str) -> dict[str, Variant]:
    """Return a variant for each value of a parameter."""
    return {f"{name}={value}": Variant(family, words.format(value), {name: value}) for value in values}


VARIANTS: dict[str, Variant] = {
    "default": Variant("", "the default", {}),
    **of("members", "n_ensemble", [1, 2, 4, 16], "networks: {}"),
    **of("epochs", "max_iter", [8, 16, 64], "epochs: {}"),
    **of("width", "hidden_layer_sizes", [(32, 32), (64, 64), (256, 256)], "units of the layers: {}"),
    **of("batch", "batch_size", [16, 64, 128], "rows of a batch: {}"),
    **of("early stopping", "n_iter_no_change", [4, 8], "end after {} epochs without a better one"),
    "n_iter_no_change=inf": Variant("early stopping", "all epochs", {"n_iter_no_change": np.inf}),
    "last": Variant("early stopping", "all rows, the last epoch", {"early_stopping": False}),
    "float64": Variant("dtype", "float64", {"dtype": "float64"}),
    **of("parts", "activation", ["selu", "relu"], "{}"),
    "schedule=None": Variant("parts", "a constant rate", {"schedule": None, "learning_rate_init": 0.02}),
    "label_smoothing=0": Variant("parts", "labels as they are", {"label_smoothing": 0.0}),
    "beta_2=0.999": Variant("parts", "beta_2 0.999", {"beta_2": 0.999}),
    "calibration=None": Variant("parts", "no temperature", {"calibration": None}),
    **of("parts", "dropout", [0.1], "dropout {}"),
    "plain": Variant("steps", "scikit-learn's MLP with this encoder", {"preset": "mlp", "encoder": "tabular"}),
    "realmlp": Variant("steps", "one network of RealMLP-TD-S's sizes", REALMLP),
}
"""By their names in records."""


def halves(name: str) -> Iterator[tuple[int, Any, Any, Any, Any]]:
    """Yield, for each half, its number, and (x, y) to train on and to test on."""
    from sklearn.model_selection import KFold, StratifiedKFold

    table = load(name)
    rows = np.random.default_rng(0).permutation(len(table.y))[:ROWS]
    is_class = table.entry.task == "classification"
    folds = (StratifiedKFold if is_class else KFold)(2, shuffle=True, random_state=0)
    for number, (fit, test) in enumerate(folds.split(rows, table.y[rows])):
        parts = [(table.x.iloc[rows[part]].reset_index(drop=True), table.y[rows[part]]) for part in (fit, test)]
        yield number, *parts[0], *parts[1]


def measure(name: str, variant: str) -> Iterator[records.Record]:
    """Yield a record for each half of a data set."""
    import dnnkit as dk

    is_class = load(name).entry.task == "classification"
    for half, x, y, x_test, y_test in halves(name):
        if variant == "hist-gradient-boosting":
            made = get(variant).build(load(name).entry.task, half)
        else:
            kind = dk.DNNClassifier if is_class else dk.DNNRegressor
            made = kind(random_state=half, n_jobs=1, **VARIANTS[variant].parameters)
        start = process_time()
        made.fit(x, y)
        seconds = process_time() - start
        if is_class:
            found = scores.classification(y_test, made.predict_proba(x_test), made.classes_, y)
        else:
            found = scores.regression(y_test, made.predict(x_test), y)
        used = {"seconds": seconds, **{key: float(value) for key, value in found.items()}}
        yield {"set": name, "method": variant, "repeat": 0, "fold": half, **used}


def run(path: Path, names: list[str]) -> None:
    """Measure what is missing."""
    known = records.read(path)
    for variant in ["hist-gradient-boosting", *names]:
        for name in TUNING:
            if all((name, variant, 0, half) in known for half in (0, 1)):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for record in measure(name, variant):
                    records.append(path, record)
        print(variant, file=sys.stderr, flush=True)


def summary(path: Path) -> dict[str, dict[str, Any]]:
    """Return, for each complete variant, the seconds of all fits and mean errors relative to boosting's."""
    known = records.read(path)
    means: dict[str, dict[str, dict[str, float]]] = {}
    for name in TUNING:
        for variant in ["hist-gradient-boosting", *VARIANTS]:
            found = [known[name, variant, 0, half] for half in (0, 1) if (name, variant, 0, half) in known]
            if len(found) == 2:
                keys = [key for key, value in found[0].items() if isinstance(value, float)]
                means.setdefault(variant, {})[name] = {key: (found[0][key] + found[1][key]) / 2 for key in keys}
    theirs = means["hist-gradient-boosting"]
    summaries = {}
    for variant in VARIANTS:
        ours = means.get(variant, {})
        if len(ours) < len(TUNING):
            continue
        classes = [name for name in TUNING if load(name).entry.task == "classification"]

        def ratio(sets: list[str], key: str, least: float, ours: Any = ours) -> float:
            return float(np.exp(np.mean([np.log((ours[n][key] + least) / (theirs[n][key] + least)) for n in sets])))

        summaries[variant] = {
            "label": VARIANTS[variant].label,
            "family": VARIANTS[variant].family,
            "seconds": 2 * sum(each["seconds"] for each in ours.values()),
            "error": ratio(list(TUNING), "normalised", LEAST),
            "classes": ratio(classes, "error", LEAST),
            "numbers": ratio([name for name in TUNING if name not in classes], "normalised", LEAST),
            "log loss": ratio(classes, "log_loss", 0.0),
            "better": sum(ours[name]["normalised"] < theirs[name]["normalised"] for name in TUNING),
        }
    return summaries


def table(summaries: dict[str, dict[str, Any]]) -> str:
    """Return a Markdown table, one row per variant."""
    lines = [
        "| variant | seconds | error, classes | error, numbers | log loss | better on |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for each in summaries.values():
        lines.append(
            f"| {each['label']} | {each['seconds']:.1f} | {each['classes']:.3f} | {each['numbers']:.3f} | "
            f"{each['log loss']:.3f} | {each['better']} of {len(TUNING)} |"
        )
    return "\n".join(lines) + "\n"


FAMILIES = {"members": "#1f6fb4", "epochs": "#d1495b", "width": "#2e933c", "batch": "#8a5fbf"}
"""Lines of the figure and their colors."""
HIGHEST = 0.95
"""Largest error in the figure; variants above it are only in the table."""


def draw(path: Path, summaries: dict[str, dict[str, Any]]) -> None:
    """Plot error against seconds: a line through the default for each family."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [each for name, each in summaries.items() if name == "default" or each["family"] in FAMILIES]
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes, default = figure.subplots(), summaries["default"]
    for family, color in FAMILIES.items():
        line = sorted(
            [each for each in summaries.values() if each["family"] == family] + [default],
            key=lambda each: each["seconds"],
        )
        x, y = [each["seconds"] for each in line], [each["error"] for each in line]
        axes.plot(x, y, "o-", color=color, label=family, markersize=4, lw=1.2)
        for each in line:
            if each is not default:
                text = each["label"].partition(": ")[2].strip("()").partition(",")[0]
                where = (each["seconds"], each["error"])
                axes.annotate(
                    text, where, (4, 4), textcoords="offset points", fontsize=7, color=color, annotation_clip=True
                )
    others = {"realmlp": "one of RealMLP-TD-S's sizes", "float64": "float64"}
    for name, text in others.items():
        if name in summaries:
            where = (summaries[name]["seconds"], summaries[name]["error"])
            axes.plot(*where, "x", color="#666666", markersize=6)
            axes.annotate(text, where, (3, -10), textcoords="offset points", fontsize=7, color="#666666")
    axes.plot(default["seconds"], default["error"], "o", color="black", markersize=9, zorder=5, label="the default")
    axes.set_xscale("log")
    axes.set_xticks([3, 5, 10, 20, 30, 50, 100], ["3", "5", "10", "20", "30", "50", "100"])
    axes.set_xlim(0.85 * min(each["seconds"] for each in drawn), 1.2 * max(each["seconds"] for each in drawn))
    axes.set_ylim(top=min(HIGHEST, max(each["error"] for each in drawn) + 0.01))
    axes.minorticks_off()
    axes.set_xlabel("processor seconds for 30 fits")
    axes.set_ylabel("error / HistGradientBoosting's")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.tables.curve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    run(options.records, options.variant or list(VARIANTS))
    summaries = summary(options.records)
    (options.out / "tables-default.json").write_text(json.dumps(summaries, indent=1) + "\n", encoding="utf-8")
    (options.out / "tables-default.md").write_text(table(summaries), encoding="utf-8")
    if "default" in summaries:
        draw(options.out / "tables-default.png", summaries)
    return 0


if __name__ == "__main__":
    if "OMP_NUM_THREADS" not in os.environ:
        one_thread()
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.tables.curve", *sys.argv[1:]])  # noqa: S606
    sys.exit(main())
