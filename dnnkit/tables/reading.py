"""Reading tables from files: CSV, Parquet, NumPy archives. Sizes are limited, because files may be untrusted."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.files import largest, open_regular
from dnnkit.tables.frames import table_of
from dnnkit.tables.numpy_files import read_arrays
from dnnkit.tables.table import Table
from dnnkit.tables.text_files import read_text_table

LARGEST_TEXT, LARGEST_TABLE = 256 << 20, 1 << 30
"""Maximum file sizes in bytes, unless DNNKIT_LARGEST_FILE is set. Text cells take up to twenty times as much memory."""

MISSING_WORDS = (
    "", "#N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
"""Cells of text files that mean a missing value, as in pandas."""


@dataclass(frozen=True)
class TextOptions:
    """Properties that a text file does not declare; None means to detect them, or raise if that is ambiguous.

    Attributes:
        delimiter: separator of cells: ",", ";", a tab, ....
        decimal: decimal mark: "." or ",".
        encoding: Python's name of the encoding, such as "latin-1".
        missing: further texts that mean a missing value, such as "?".
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()


def is_table_file(path: Path) -> bool:
    """Return whether a file's suffix is that of a table."""
    return path.suffix.lower() in READERS


def read_table(path: Path, options: TextOptions | None = None) -> Table:
    """Read a table from a file, by its suffix: .csv, .tsv, .txt, .parquet, .npz.

    Arguments:
        path: the file.
        options: properties of text files; None to detect them.

    Raises:
        DataError: the file cannot be read or is not a table; for text files the error names the line.
        ConfigurationError: an option is invalid, or a package that reads the file is missing.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path} ends in {path.suffix or 'nothing'}: expected one of {', '.join(READERS)}")
    try:
        return reader(path, options or TextOptions())
    except (DataError, ConfigurationError):
        raise
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _read_text(path: Path, options: TextOptions) -> Table:
    with open_regular(path, largest(LARGEST_TEXT)) as file:
        data = file.read()
    delimiter = options.delimiter or ("\t" if path.suffix.lower() == ".tsv" else None)
    missing = frozenset((*MISSING_WORDS, *options.missing))
    return read_text_table(data, str(path), delimiter, options.decimal, options.encoding, missing)


def _read_npz(path: Path, options: TextOptions) -> Table:
    """Read an .npz file; each array is a column, or several if it has two dimensions."""
    try:
        arrays = read_arrays(path, largest(LARGEST_TABLE))
        if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2:
            return table_of(next(iter(arrays.values())))
        columns: dict[str, Any] = {}
        for name, array in arrays.items():
            if array.ndim == 2:
                columns |= {f"{name}_{number}": array[:, number] for number in range(array.shape[1])}
            else:
                columns[name] = array
        return table_of(columns)
    except DataError:
        raise
    except (ValueError, TypeError, EOFError, OverflowError, NotImplementedError, BadZipFile, zlib.error) as error:
        raise DataError(f"{path} does not hold plain arrays: {error}") from error


def _read_parquet(path: Path, options: TextOptions) -> Table:
    with open_regular(path, largest(LARGEST_TABLE)) as file:
        try:
            read = _parquet_reader()
        except ImportError:
            raise ConfigurationError(f"{path} needs pyarrow or polars: pip install pyarrow") from None
        try:
            frame = read(file)
        except Exception as error:  # each library raises its own classes
            why = str(error).partition("\n")[0][:200]
            raise DataError(f"{path} is not a readable Parquet file: {why}") from error
    return table_of(frame)


def _parquet_reader() -> Callable[[Any], Any]:
    try:
        from pyarrow import parquet
    except ImportError:
        import polars

        found: Callable[[Any], Any] = polars.read_parquet
    else:
        found = parquet.read_table
    return found


READERS: dict[str, Callable[[Path, TextOptions], Table]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".txt": _read_text,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
"""Readers by file suffix."""
