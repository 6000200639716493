"""Opening files as rows: a single file, several, a pattern, or a folder of shards."""

import glob
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit.errors import ConfigurationError, DataError
from dnnkit.kernels.compressed_rows import is_sparse
from dnnkit.settings import shown
from dnnkit.streams.formats import FORMATS, Columns, is_data_file
from dnnkit.streams.rows import ArrayRows, JoinedRows, Rows
from dnnkit.streams.sparse import SparseRows


def is_path(given: Any) -> bool:
    """Return whether it is a path or a list of paths."""
    if isinstance(given, list | tuple):
        return bool(given) and all(isinstance(each, str | PathLike) for each in given)
    return isinstance(given, str | PathLike)


def is_column(given: Any) -> bool:
    """Return whether it is a column name or a list of them, and not a path."""
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not names or not all(isinstance(each, str) for each in names):
        return False
    return not any(is_data_file(Path(each)) or Path(each).is_dir() for each in names)


def files_of(given: Any, what: str) -> list[Path]:
    """Return the files in order of their names, or as listed."""
    if isinstance(given, list | tuple):
        return [file for each in given for file in files_of(each, what)]
    path = Path(fspath(given))
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.is_file() and is_data_file(each))
        if not found:
            raise DataError(f"{what}: no file in {path} ends in {_endings()}")
        if len(endings := {each.suffix.lower() for each in found}) > 1:
            raise DataError(
                f"{what}: {path} has files of several formats, {', '.join(sorted(endings))}: select one with a "
                f"pattern, such as {path / '*'}{found[0].suffix}"
            )
        return found
    if not path.exists() and glob.has_magic(str(path)):
        found = sorted(map(Path, glob.glob(str(path))))
        if not found:
            raise DataError(f"{what}: no file matches {path}")
        return found
    if not path.is_file():
        raise DataError(f"{what}: there is no file {path}")
    return [path]


def open_rows(given: Any, what: str, columns: Columns | None = None) -> Rows:
    """Return the rows of an array, a sparse matrix, a file, several files, or a folder of files."""
    if is_sparse(given):
        return SparseRows(given, what)
    if not is_path(given):
        return ArrayRows(np.asanyarray(given), what)
    shards = [_open_file(path, what, columns or Columns()) for path in files_of(given, what)]
    return shards[0] if len(shards) == 1 else JoinedRows(shards, what)


def _open_file(path: Path, what: str, columns: Columns) -> Rows:
    name = FORMATS.name_of(path.suffix.removeprefix("."))
    if name is None:
        raise DataError(
            f"{what}: {path} ends in {path.suffix or 'nothing'}: expected {_endings()}. Load other files "
            "into memory, for example with NumPy or pandas"
        )
    return FORMATS[name](path, columns)


def _endings() -> str:
    return " or ".join(f".{name}" for name in FORMATS)


def as_names(what: str, given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return names of columns; () for None."""
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given)
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{what} is {shown(given)}: expected a column name, or a list of column names")
    return names
