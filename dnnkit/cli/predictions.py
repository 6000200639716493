"""Predictions, as printed and as written to files."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.files import check_writable, replace_all
from dnnkit.tables.summary import printable

WIDEST = 40
"""Maximum width of a class name in the printed predictions."""


@dataclass(frozen=True)
class Predictions:
    """Predictions for some rows.

    Attributes:
        names: names of the targets; a single one for classes.
        outputs: (N, K) probabilities or values.
        classes: the class of each column of outputs; None for values.
        is_titled: whether the names are the user's and are printed as headings.
    """

    names: tuple[str, ...]
    outputs: NDArray[Any]
    classes: NDArray[Any] | None = None
    is_titled: bool = True

    @property
    def chosen(self) -> NDArray[Any] | None:
        """The most probable class of each row; None for values."""
        return None if self.classes is None else self.classes[self.outputs.argmax(axis=1)]

    def lines(self) -> Iterator[str]:
        """Yield the printed text, one line per row."""
        if (chosen := self.chosen) is not None:
            words = [printable(str(each)[:WIDEST]) for each in chosen.tolist()]
            title = printable(self.names[0][:WIDEST])
            width = max(map(len, (title, *words)))
            yield f"sample  {title:>{width}}  probability"
            for number, (word, row) in enumerate(zip(words, self.outputs, strict=True)):
                yield f"{number:6d}  {word:>{width}}  {row.max():11.4f}"
            return
        if self.is_titled:
            yield "sample  " + "  ".join(map(printable, self.names))
        for number, row in enumerate(self.outputs):
            yield f"{number:6d}  " + "  ".join(f"{value:.6g}" for value in row)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        found: dict[str, Any] = {"predictions": self.outputs.tolist()}
        if (chosen := self.chosen) is not None and self.classes is not None:
            found["classes"] = chosen.tolist()
            if self.is_titled:
                found["class_names"] = self.classes.tolist()
        if self.is_titled:
            found["targets"] = list(self.names)
        return found

    def to_csv(self) -> bytes:
        """Return CSV with a header: the class and each class's probability, or the values."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        chosen, classes = self.chosen, self.classes
        if chosen is None or classes is None:
            writer.writerow(self.names)
            writer.writerows([str(value) for value in row] for row in self.outputs)
        else:
            writer.writerow([self.names[0], *(f"probability of {each}" for each in classes.tolist())])
            for word, row in zip(chosen.tolist(), self.outputs, strict=True):
                writer.writerow([word, *(str(value) for value in row)])
        return text.getvalue().encode()

    def to_npz(self) -> bytes:
        """Return the content of an .npz file."""
        arrays = {"predictions": self.outputs}
        if (chosen := self.chosen) is not None and self.classes is not None:
            arrays |= {"classes": _plain(chosen), "class_names": _plain(self.classes)}
        data = io.BytesIO()
        np.savez(data, **arrays)  # type: ignore[arg-type]
        return data.getvalue()


def _plain(classes: NDArray[Any]) -> NDArray[Any]:
    """Convert classes to a dtype that NumPy writes without pickle: objects become text."""
    return classes.astype(str) if classes.dtype.kind == "O" else classes


FORMATS = {".csv": Predictions.to_csv, ".npz": Predictions.to_npz}
"""Writers for --out, by file suffix."""


def check_out(out: Path | None) -> None:
    """Raise `ConfigurationError`, before anything is computed, if predictions cannot be written to a file."""
    if out is None:
        return
    if out.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"--out {out} ends in {out.suffix or 'nothing'}: expected {' or '.join(FORMATS)}")
    if not out.absolute().parent.is_dir() or out.is_dir():
        raise ConfigurationError(f"cannot write {out}: expected a file in a folder that exists")
    check_writable(out.absolute().parent)


def report(predictions: Predictions, result: dict[str, Any], out: Path | None) -> None:
    """Print predictions; add them to the JSON result and write the requested file."""
    result |= predictions.to_json()
    if out is not None:
        replace_all({out: FORMATS[out.suffix.lower()](predictions)})
    for line in predictions.lines():
        typer.echo(line)
