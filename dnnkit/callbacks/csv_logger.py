"""One line an epoch, in a file that other programs read."""

import csv
from pathlib import Path

from dnnkit.callbacks.base import CALLBACKS, Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path


@CALLBACKS.named("CSVLogger")
class CSVLogger(Callback):
    """Write epoch (from 0), loss and metrics to a CSV file; every line is on disk as soon as its epoch ends."""

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = as_path(path)
        self.append = append

    def on_train_begin(self, logs: Logs) -> None:  # noqa: D102
        self._has_header = self.append and self.path.exists() and self.path.stat().st_size > 0
        if not self._has_header:
            try:
                self.path.write_text("")
            except OSError as error:
                raise ConfigurationError(
                    f"CSVLogger cannot write {self.path}: {error.strerror}; choose a file in a folder that exists"
                ) from error

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:  # noqa: D102
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if not self._has_header:
                writer.writerow(["epoch", *logs])
                self._has_header = True
            writer.writerow([epoch, *logs.values()])
