"""Running a sweep: networks, training, ranking, and the best network saved in the run folder."""

import shlex
import warnings
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.cli.grid import choices
from dnnkit.cli.output import Speaker
from dnnkit.cli.sweep_data import data_of
from dnnkit.cli.sweep_options import NETWORKS, OUT_OF_FOLD, RANKING, SweepOptions
from dnnkit.errors import ConfigurationError, TrainingWarning
from dnnkit.files import replace
from dnnkit.many.cross_validation import out_of_fold
from dnnkit.many.fitting import fit_many
from dnnkit.many.folder import Folder
from dnnkit.many.folds import Division, folds_of, share_of
from dnnkit.many.halving import SuccessiveHalving
from dnnkit.many.history import ManyHistory
from dnnkit.many.ranking import Ranking, figure, figures, kept_epoch, ranking_of, value_of
from dnnkit.many.text_table import lines_of
from dnnkit.saves.folder import to_json

PARTS = 5
"""Without --folds, one of this many parts of the data is held out."""
SHOWN = 12
"""Places of the ranking that are printed; the run folder has all of them."""
WIDTH = 80


class SweepRun:
    """A sweep; raises the errors of the grid and of the data set.

    Arguments:
        options: the options of the sweep.
        folder: the run folder.
    """

    def __init__(self, options: SweepOptions, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.choices = choices(options.grid, options.basis)
        if len(self.choices) == 1 and options.folds is None and options.repeats == 1:
            raise ConfigurationError(
                "nothing to compare: give --grid NAME=VALUE,VALUE, such as --grid learning_rate=1e-3,1e-2, or --folds, "
                "or --repeats; a single network is trained by `dnnkit train`"
            )
        self.data = data = data_of(options)
        if options.metric not in data.metrics:
            raise ConfigurationError(f"--metric is {options.metric!r}: expected {' or '.join(data.metrics)}")
        parts = folds_of(
            data.rows, options.folds or PARTS, labels=data.labels, repeats=options.repeats, seed=options.seed
        )
        self.division: Division = parts if options.folds else parts[::PARTS]

    def run(self, result: dict[str, Any], say: Speaker, quiet: bool, workers: int | None) -> int:
        """Train, rank and write the run folder; fill `result`; return the exit status."""
        options, metric = self.options, self.data.metrics[self.options.metric]
        networks = [
            self.data.network(choice, self._seed(seed), choice.name)
            for choice in self.choices
            for seed in range(len(self.division))
        ]
        options.keep(self.folder)
        self._announce(say, len(networks))
        try:
            many = self._train(networks, metric, quiet, workers)
        except (KeyboardInterrupt, SystemExit) as error:
            say(f"interrupted and saved; continue with  dnnkit sweep --resume {shlex.quote(str(self.folder))}")
            return 130 if isinstance(error, KeyboardInterrupt) else int(str(error.code))
        ranking = ranking_of(many, metric, share=share_of(self.division))
        result |= {
            "dataset": options.dataset,
            "ranking": ranking.to_json(),
            "total_seconds": many.seconds,
            "run_folder": str(self.folder),
        }
        replace(self.folder / RANKING, to_json(result))
        for line in self._table(ranking, many):
            say(line)
        if isnan(ranking[0].mean):
            raise ConfigurationError("every network's loss is NaN: try smaller learning rates")
        self._leave_best(result, ranking, many, say)
        return 0

    def _train(self, networks: list[Any], metric: str, quiet: bool, workers: int | None) -> ManyHistory:
        options = self.options
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)  # a grid may contain learning rates that diverge
            return fit_many(
                networks,
                self.data.inputs(networks[0]),
                self.data.y,
                rows=self.division * len(self.choices),
                batch_size=options.batch_size,
                epochs=options.epochs,
                early_stopping=options.patience,
                num_workers=workers,
                checkpoint=Folder(self.folder / NETWORKS, hint=""),
                resume=True,
                callbacks=[SuccessiveHalving(options.halving, metric=metric)] if options.halving else (),
                verbose=0 if quiet else "auto",
            )

    def _seed(self, number: int) -> int:
        """Return the seed of a choice's network, counted from 0; the same for all choices."""
        return (self.options.seed + number) % 2**32

    def _announce(self, say: Speaker, count: int) -> None:
        options, held_out = self.options, len(self.division[0][1])
        times = "" if options.repeats == 1 else f", {options.repeats} times"
        parts = f"{options.folds} folds{times}" if options.folds else f"{held_out:,} of them held out{times}"
        data = self.data
        for line in data.lines:
            say(line)
        say(f"{data.name}: {data.rows:,} training {data.noun}, {parts}; {data.test_rows:,} test {data.noun}")
        combined = f"{_counted(len(self.choices), 'combination')} x {len(self.division)} = " if count > 1 else ""
        say(f"{combined}{_counted(count, 'network')}, {_counted(options.epochs, 'epoch')} at most, {options.dtype}")

    def _divided_into(self) -> str:
        count = len(self.division)
        return f"{count} folds" if self.options.folds else f"{count} divisions"

    def _leave_best(self, result: dict[str, Any], ranking: Ranking, many: ManyHistory, say: Speaker) -> None:
        """Train the best choice on all training rows, evaluate it on the test rows, and save it."""
        best = next(choice for choice in self.choices if choice.name == ranking[0].name)
        numbers = ranking[0].networks
        if self.options.folds:
            networks = [many.networks[number] for number in numbers]
            predicted = out_of_fold(networks, self.division, self.data.inputs(networks[0]))
            with (self.folder / OUT_OF_FOLD).open("wb") as file:
                np.save(file, self.data.outputs(predicted))
        epochs = round(np.mean([kept_epoch(many, number) + 1 for number in numbers]))
        found, scores = self.data.finish(best, self._seed(0), epochs, self.folder)
        say(f"best: {best.name}")
        say(f"trained again on all {self.data.rows:,} {self.data.noun}: {found}")
        what = "the best network, ranking.json" + (f", {OUT_OF_FOLD}" if self.options.folds else "")
        say(f"run folder {self.folder}: {what}")
        result |= {"best": dict(best.texts), **scores}
        replace(self.folder / RANKING, to_json(result))

    def _table(self, ranking: Ranking, many: ManyHistory) -> list[str]:
        """Return the lines of the printed ranking, with a legend of its marks."""
        settings = list(self.choices[0].texts)
        texts = {choice.name: choice.texts for choice in self.choices}
        metrics = sorted(self.data.metrics.values(), key=lambda name: name != ranking.metric)
        rows = []
        for place in ranking[:SHOWN]:
            other = float(np.mean([value_of(many, number, metrics[1]) for number in place.networks]))
            rows.append(
                [
                    f"{place.rank} {'=' if place.is_close and place.rank > 1 else ''}".rstrip(),
                    *(texts[place.name][name] for name in settings),
                    figures(place.mean, place.low, place.high),
                    figure(other),
                    f"{place.epochs}",
                    f"{place.seconds:.2f} s",
                    "; ".join(why for why in place.ended),
                ]
            )
        heads = ["", *settings, *metrics, "epochs", "time", ""]
        lines = ["", *lines_of(heads, rows, WIDTH, {*range(1 + len(settings)), 5 + len(settings)})]
        if len(ranking) > SHOWN:
            lines.append(f"... {len(ranking) - SHOWN} more in {self.folder / RANKING}")
        if any(place.is_close for place in ranking[1:]):
            lines.append(f"= not significantly worse than the first (95 %, {self._divided_into()})")
        elif len(self.division) == 1 and len(ranking) > 1:
            lines.append("one network each: add --folds 5 or --repeats 5 to measure how much is chance")
        return [*lines, ""]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)
