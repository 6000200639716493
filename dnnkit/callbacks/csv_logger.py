"""One line an epoch, in a file that other programs read."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.callbacks.base import CALLBACKS, Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path
from dnnkit.saves.schema import COUNT, record, taken


@CALLBACKS.named("CSVLogger")
class CSVLogger(Callback):
    """Write epoch (from 0), loss and metrics to a CSV file; every line is on disk as soon as its epoch ends.

    The file begins anew, unless `append`, or where a fit goes on from a checkpoint: then lines of epochs that are
    trained again are dropped.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = as_path(path)
        self.append = append

    def on_train_begin(self, logs: Logs) -> None:  # noqa: D102
        try:
            with self.path.open("a"):
                self._size = self.path.stat().st_size if self.append else 0
        except OSError as error:
            raise ConfigurationError(
                f"CSVLogger cannot write {self.path}: {error.strerror}; choose a file in a folder that exists"
            ) from error

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"size": self._size}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self._size = min(taken(state, record({"size": COUNT}), "the state")["size"], self.path.stat().st_size)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        try:
            if self.path.stat().st_size > self._size:
                os.truncate(self.path, self._size)
            with self.path.open("a", newline="") as file:
                writer = csv.writer(file)
                if self._size == 0:
                    writer.writerow(["epoch", *logs])
                writer.writerow([epoch, *logs.values()])
            self._size = self.path.stat().st_size
        except OSError as error:
            remark(f"CSVLogger cannot write {self.path}, training goes on: {error.strerror}")
