"""A callback that writes a line per epoch to a CSV file."""

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
    """Write epoch (from 0), loss and metrics to a CSV file; each line is on disk as soon as its epoch ends.

    A quantity first measured in a later epoch gets a new column; cells without a value are empty. When a fit resumes
    from a checkpoint, lines of epochs that are trained again are dropped.

    Arguments:
        filename: path of the file.
        separator: one character between values.
        append: append to an existing file; by default, each fit starts a new one.

    Raises:
        ConfigurationError: an argument is invalid; in `fit`, the file cannot be written. If only a later line cannot,
            such as on a full disk, this is logged and training continues.

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
                if self.filename.stat().st_size > self._size:  # lines of an earlier run, or a partial line
                    os.truncate(self.filename, self._size)
                with self.filename.open("a", newline="", encoding="utf-8") as file:
                    file.write(self._text([row] if self._columns else [columns, row]))
            self._size = self.filename.stat().st_size
        except OSError as error:
            remark(f"CSVLogger cannot write {self.filename}, training continues: {error.strerror}")
            return
        self._columns, self._lines = columns, self._lines + 1

    def _take(self, lines: int | None) -> None:
        """Continue the existing file, or its first `lines` lines."""
        if not self.filename.is_file() or not (rows := self._rows(lines)):
            return
        self._columns, self._lines = rows[0], len(rows) - 1
        if (text := self._text(rows).encode()) != self.filename.read_bytes():
            self._write_anew(rows)
        self._size = len(text)

    def _rows(self, lines: int | None) -> list[list[str]]:
        """Read the header and at most `lines` lines."""
        import csv  # only this callback needs it

        try:
            with self.filename.open(newline="", encoding="utf-8") as file:
                return list(islice(csv.reader(file, delimiter=self.separator), lines and lines + 1))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigurationError(f"{self.filename} is not a table that CSVLogger can append to: {error}") from error

    def _write_anew(self, rows: list[list[Any]]) -> None:
        width = len(rows[0])
        replace(self.filename, self._text([row + [""] * (width - len(row)) for row in rows]).encode())

    def _text(self, rows: list[list[Any]]) -> str:
        import csv

        text = StringIO(newline="")
        csv.writer(text, delimiter=self.separator).writerows(rows)
        return text.getvalue()
