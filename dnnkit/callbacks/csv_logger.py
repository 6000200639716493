"""One line an epoch, in a file that other programs read."""

import os
from collections.abc import Mapping
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.callbacks.base import CALLBACKS, Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path, replace
from dnnkit.saves.schema import COUNT, record, taken
from dnnkit.settings import shown


@CALLBACKS.named("CSVLogger")
class CSVLogger(Callback):
    """Write epoch (from 0), loss and metrics to a CSV file; every line is on disk as soon as its epoch ends.

    What is first measured in a later epoch gets a column of its own; where something was not measured, nothing stands.
    Where a fit goes on from a checkpoint, the file does, too: lines of epochs that are trained again are dropped.

    Arguments:
        filename: of the file.
        separator: one character between two numbers.
        append: add to what is there; else the file begins anew with each fit.

    Raises:
        ConfigurationError: an argument cannot work; in `fit`, the file cannot be written. Where only a line cannot, on
            a full disk, the log says so, and training goes on.

    Source: Keras.
    """

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False) -> None:
        self.filename = as_path(filename)
        if not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n':
            raise ConfigurationError(f"separator is {shown(separator)}: expected one character, such as ';'")
        self.separator = separator
        self.append = append

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: D102
        try:
            with self.filename.open("a"):
                pass
        except OSError as error:
            raise ConfigurationError(
                f"CSVLogger cannot write {self.filename}: {error.strerror}; choose a file in a folder that exists"
            ) from error
        self._columns: list[str] = []
        self._lines = self._size = 0
        if self.append:
            self._take(None)

    def state(self) -> dict[str, Any]:  # noqa: D102
        return {"lines": self._lines}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: D102
        self._take(taken(state, record({"lines": COUNT}), "the state")["lines"])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: D102
        values = {"epoch": epoch, **(logs or {})}
        columns = [*self._columns, *(name for name in values if name not in self._columns)]
        row = [values.get(name, "") for name in columns]
        try:
            if self._columns and columns != self._columns and self.filename.is_file():
                self._write_anew([columns, *self._rows(self._lines)[1:], row])
            else:
                if self.filename.stat().st_size > self._size:  # another run's, or half a line
                    os.truncate(self.filename, self._size)
                with self.filename.open("a", newline="", encoding="utf-8") as file:
                    file.write(self._text([row] if self._columns else [columns, row]))
            self._size = self.filename.stat().st_size
        except OSError as error:
            remark(f"CSVLogger cannot write {self.filename}, training goes on: {error.strerror}")
            return
        self._columns, self._lines = columns, self._lines + 1

    def _take(self, lines: int | None) -> None:
        """Go on with the file as it is, or with so many lines of it."""
        if not self.filename.is_file() or not (rows := self._rows(lines)):
            return
        self._columns, self._lines = rows[0], len(rows) - 1
        if (text := self._text(rows).encode()) != self.filename.read_bytes():
            self._write_anew(rows)
        self._size = len(text)

    def _rows(self, lines: int | None) -> list[list[str]]:
        """The heading, and at most so many lines."""
        import csv  # only who logs needs it

        try:
            with self.filename.open(newline="", encoding="utf-8") as file:
                return list(islice(csv.reader(file, delimiter=self.separator), lines and lines + 1))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigurationError(f"{self.filename} is no table that CSVLogger can add to: {error}") from error

    def _write_anew(self, rows: list[list[Any]]) -> None:
        width = len(rows[0])
        replace(self.filename, self._text([row + [""] * (width - len(row)) for row in rows]).encode())

    def _text(self, rows: list[list[Any]]) -> str:
        import csv

        text = StringIO(newline="")
        csv.writer(text, delimiter=self.separator).writerows(rows)
        return text.getvalue()
