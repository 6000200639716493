"""What a sweep trains on: a data set of images, or a table."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.cli.grid import Choice
from dnnkit.cli.images import images_of, network_of
from dnnkit.cli.sweep_options import SweepOptions
from dnnkit.errors import TrainingWarning
from dnnkit.files import as_path
from dnnkit.models import load
from dnnkit.saves.folder import is_save


class SweepData(ABC):
    """Training rows, rows for the final test, and the networks for them.

    Attributes:
        name: what is printed for the data.
        noun: what a row is, in the plural.
        y: targets of the training rows, as `fit_many` takes them.
        labels: class of each training row, to stratify folds by; None for numbers.
        metrics: values of `--metric`, and their names in histories.
        lines: what is printed about the data first.
        rows, test_rows: number of training rows and of test rows.
    """

    name: str
    noun: str
    y: Any
    labels: NDArray[Any] | None
    metrics: Mapping[str, str]
    lines: tuple[str, ...] = ()
    rows: int
    test_rows: int

    @abstractmethod
    def network(self, choice: Choice, seed: int, name: str) -> Any:
        """Return a new, compiled network."""

    @abstractmethod
    def inputs(self, net: Any) -> Any:
        """Return the training rows as a network takes them."""

    def outputs(self, predicted: NDArray[Any]) -> NDArray[Any]:
        """Return a network's predictions in the units of the data."""
        return predicted

    @abstractmethod
    def finish(self, choice: Choice, seed: int, epochs: int, folder: Path) -> tuple[str, dict[str, Any]]:
        """Train a choice on all training rows, score the test rows, and save the network.

        Returns the scores as text, and for the results. If the folder has the network already, it is only scored.
        """


class Images(SweepData):
    """A data set of images with class labels."""

    noun = "images"

    def __init__(self, options: SweepOptions) -> None:
        self._options, self.name = options, options.dataset
        self.metrics = {"loss": "val_loss", "accuracy": "val_accuracy"}
        self._images = images_of(options.dataset)
        (self._x, self.y), self._test = self._images.load_data()
        self.labels, self.rows, self.test_rows = self.y, len(self._x), len(self._test[0])

    def network(self, choice: Choice, seed: int, name: str | None = None) -> Any:  # noqa: D102
        return network_of(
            self._images,
            choice.hidden,
            choice.activation,
            choice.made_optimizer(),
            dropout=choice.dropout,
            seed=seed,
            dtype=self._options.dtype,
            backend=self._options.backend,
            name=name,
        )

    def inputs(self, net: Any) -> Any:  # noqa: D102
        return self._x

    def finish(self, choice: Choice, seed: int, epochs: int, folder: Path) -> tuple[str, dict[str, Any]]:  # noqa: D102
        if is_save(folder):
            net: Any = load(folder, backend=self._options.backend)
        else:
            net = self.network(choice, seed)
            net.fit(self._x, self.y, batch_size=self._options.batch_size, epochs=epochs, verbose=0)
            net.save(folder)
        scores = net.evaluate(*self._test)
        text = f"test accuracy {scores['accuracy']:.4f}, loss {scores['loss']:.4f}"
        return text, {"test_loss": scores["loss"], "test_accuracy": scores["accuracy"]}


class TableRows(SweepData):
    """The rows of a table, encoded as `dnnkit train` encodes them; the encoder is fitted on the training rows."""

    noun = "rows"

    def __init__(self, options: SweepOptions) -> None:
        from dnnkit.cli.train_table import names_of_targets, split, usable
        from dnnkit.estimators.aims import SCORES, aim_of, targets_of
        from dnnkit.metrics import name_of
        from dnnkit.tables.reading import TextOptions, read_table
        from dnnkit.tables.target_column import find_target

        self._options, file = options, as_path(options.dataset)
        self.name = file.name
        text = TextOptions(options.delimiter, options.decimal, options.encoding, options.missing)
        table = read_table(file, text)
        names = names_of_targets(list(options.target), table, self.name)
        self._target = find_target(table, names, options.task, self.name)  # type: ignore[arg-type]
        x, self._categories, described = usable(table, self.name, names, list(options.ignore), list(options.categories))
        self.lines = (*described, *self._target.report())
        train, self._test = split(self._target, options.held_out, options.seed)
        self.rows, self.test_rows = len(train), len(self._test)
        self._x, self._x_test, self._y = x.take(train), x.take(self._test), self._target.y[train]
        self._first = self._estimator((), "relu", "adam", 0.0, options.seed, 1)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "column .* numbers the rows", TrainingWarning)  # it is in `lines`
            self._data = self._first._encode(self._x, self._y)
        aim = aim_of(self._settings(self._first), self._data)
        self.y = targets_of(aim.loss, self._data.train, self._data, options.dtype)
        is_classes = self._target.task == "classes"
        self.labels = np.unique(self._y, return_inverse=True)[1] if is_classes else None
        score = f"val_{name_of(SCORES[self._data.task])}"
        self.metrics = {"loss": "val_loss", "accuracy" if is_classes else "r2": score}

    def _estimator(self, hidden: Any, activation: Any, solver: Any, dropout: float, seed: int, epochs: int) -> Any:
        """Return the estimator whose preset makes and trains such networks."""
        from dnnkit.cli.train_table import estimator_of
        from dnnkit.tables.encoder import TabularEncoder

        return estimator_of(self._target.task)(
            hidden,
            activation,
            preset="plain",
            solver=solver,
            dropout=dropout,
            batch_size=self._options.batch_size or 32,
            max_iter=epochs,
            encoder=TabularEncoder(categories=list(self._categories) or "auto"),
            dtype=self._options.dtype,
            backend=self._options.backend,
            random_state=seed,
        )

    def _of(self, choice: Choice, seed: int, epochs: int) -> Any:
        return self._estimator(choice.hidden, choice.activation, choice.made_optimizer(), choice.dropout, seed, epochs)

    def _settings(self, estimator: Any) -> Any:
        from dnnkit.estimators.settings import resolve

        return resolve(estimator.get_params(deep=False), self._data)

    def network(self, choice: Choice, seed: int, name: str) -> Any:  # noqa: D102
        from dnnkit.estimators.plain import compiled

        return compiled(self._settings(self._of(choice, seed, self._options.epochs)), self._data, seed, name=name)

    def inputs(self, net: Any) -> Any:  # noqa: D102
        from dnnkit.estimators.embedding import inputs_of

        return inputs_of(net, self._data.train.x)

    def outputs(self, predicted: NDArray[Any]) -> NDArray[Any]:  # noqa: D102
        return predicted if self.labels is not None else self._first.target_.decode(predicted.astype(np.float64))

    def finish(self, choice: Choice, seed: int, epochs: int, folder: Path) -> tuple[str, dict[str, Any]]:  # noqa: D102
        from dnnkit.cli.tables import keep_targets, scores_of
        from dnnkit.cli.train_table import scores_text
        from dnnkit.estimators.saving import load_estimator

        if is_save(folder):
            estimator = load_estimator(folder, backend=self._options.backend)
        else:
            estimator = self._of(choice, seed, epochs)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "column .* numbers the rows", TrainingWarning)
                estimator.fit(self._x, self._y)
            estimator.save(folder)
            keep_targets(folder, self._target.names)
        scores = scores_of(estimator, self._x_test, self._target.y[self._test], self._target.task == "classes")
        text = f"held out: {scores_text(scores, self._target, self._test)}"
        return text, {"held_out": {"rows": self.test_rows, **scores}}


def data_of(options: SweepOptions) -> SweepData:
    """Return the data that the options name."""
    from dnnkit.tables.reading import is_table_file

    return TableRows(options) if options.target or is_table_file(Path(options.dataset)) else Images(options)
