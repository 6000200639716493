"""CSV files: detect what they do not declare, and raise an error if that is ambiguous.

Python's csv module parses them. This module determines the encoding, the delimiter, the decimal mark and the names,
and reports lines of unequal length.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from typing import Any

from dnnkit.errors import ConfigurationError, DataError
from dnnkit.settings import shown
from dnnkit.tables.conversions import is_number
from dnnkit.tables.series import Series
from dnnkit.tables.table import Table, check_names, of_series

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""Delimiters that are detected."""

TAB = {"tab": "\t", "\\t": "\t"}
"""Words for a tab, which is hard to type in a shell."""

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte-order marks and their encodings; UTF-32 comes before UTF-16, whose marks are prefixes of its."""

OTHERS = {
    b"PK\x03\x04": "an Excel sheet or a zip archive: save it as CSV",
    b"\x1f\x8b": "compressed: unpack it",
    b"PAR1": "a Parquet file: call it .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet: save it as CSV",
    b"\x93NUMPY": "an array of NumPy: call it .npy",
}
"""First bytes of other kinds of files."""

SAMPLE_BYTES, SAMPLE_ROWS = 1 << 16, 100
"""Size of the sample, from the start of the text, in which delimiters are detected."""

HAS_DECIMALS = re.compile(r"[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?")
WHOLE = re.compile(r"[+-]?\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""An integer with thousands separators, or a number with three decimals."""
BOTH_SIGNS = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+[.,]\d+")


class Lines(Sequence[int]):
    """Line numbers of the rows of a text, computed when an error needs them."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._text, self._delimiter = text, delimiter

    @cached_property
    def _lines(self) -> list[int]:
        return [line for line, _ in _records(self._text, self._delimiter)][1:]

    def __getitem__(self, row: int) -> int:  # type: ignore[override]
        return self._lines[row]

    def __len__(self) -> int:
        return len(self._lines)


def read_text_table(
    data: bytes, file: str, delimiter: str | None, decimal: str | None, encoding: str | None, missing: frozenset[str]
) -> Table:
    """Read a table from the bytes of a text file; options that are None are detected."""
    text = _decoded(data, file, encoding)
    if delimiter is None:
        delimiter = _delimiter(text, file)
    delimiter = TAB.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise ConfigurationError(f"delimiter is {shown(delimiter)}: expected one character, such as ';', or tab")
    if decimal not in (None, ".", ","):
        raise ConfigurationError(f"decimal is {shown(decimal)}: expected '.' or ','")
    rows = _rows(text, file, delimiter)
    names = _names(rows, file, delimiter, decimal or ".")
    lines = Lines(text, delimiter)
    columns = [
        [None if (stripped := cell.strip()) in missing else stripped for cell in column]
        for column in zip(*rows[1:], strict=True)
    ]
    if decimal is None:
        decimal = _decimal(names, columns, file) if "," in text else "."
    return of_series(
        [
            Series(name, "cells", column, decimal=decimal, places=lines)
            for name, column in zip(names, columns, strict=True)
        ],
        len(rows) - 1,
    )


# -- encoding --------------------------------------------------------------------------------------------------------


def _decoded(data: bytes, file: str, encoding: str | None) -> str:
    """Decode a file's bytes; the encoding is given, or that of its byte-order mark, or UTF-8."""
    if not data.strip():
        raise DataError(f"{file} is empty: expected a header line with the names of columns, then rows")
    marked = next((mark for mark in MARKS if data.startswith(mark)), None)
    if encoding is None:
        what = next((what for begin, what in OTHERS.items() if data.startswith(begin)), None)
        if what is not None:
            raise DataError(f"{file} is not text, but {what}")
        if marked is None and b"\0" in data[:SAMPLE_BYTES]:
            raise DataError(
                f"{file} contains zero bytes, so it is not text, or UTF-16: try --encoding utf-16-le or utf-16-be"
            )
        encoding, data = MARKS.get(marked or b"", "utf-8"), data[len(marked or b"") :]
    else:
        _check_encoding(encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{file} is not encoded as {encoding}: byte 0x{data[error.start]:02x} in line {line}; give its encoding, "
            "perhaps --encoding cp1252 (Windows) or --encoding latin-1"
        ) from None
    except UnicodeError as error:
        raise DataError(f"{file} is not encoded as {encoding}: {str(error)[:100]}") from None
    if "\0" in text:
        raise DataError(f"{file} contains NUL characters, which text does not have: check the encoding")
    return text.removeprefix("\ufeff")


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, ValueError):  # unknown names, and codecs that are not for text
        raise ConfigurationError(
            f"encoding is {shown(name)}: expected a name such as utf-8, utf-16, latin-1 or cp1252"
        ) from None


# -- delimiter and rows ----------------------------------------------------------------------------------------------


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True
    )


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and cells of each non-empty record. Raises `csv.Error`."""
    reader, line = _reader(text, delimiter), 1
    for cells in reader:
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _delimiter(text: str, file: str) -> str:
    """Return the delimiter that occurs equally often in each line; raise `DataError` if several do."""
    sample = text[:SAMPLE_BYTES]
    if len(text) > SAMPLE_BYTES and "\n" in sample:
        sample = sample[: sample.rindex("\n") + 1]
    widths: dict[str, list[int]] = {}
    for delimiter in DELIMITERS:
        widths[delimiter] = []
        with suppress(csv.Error):  # possibly a quoted cell that continues after the sample
            widths[delimiter].extend(len(cells) for _, cells in islice(_records(sample, delimiter), SAMPLE_ROWS))
    steady = [delimiter for delimiter, found in widths.items() if found and found[0] > 1 and len(set(found)) == 1]
    in_names = [delimiter for delimiter, found in widths.items() if found and found[0] > 1]
    candidates = steady or in_names
    if len(candidates) > 1:
        names = " or ".join(DELIMITERS[each] for each in candidates)
        raise DataError(f"{file}: its delimiter may be {names}: choose one, such as --delimiter '{candidates[0]}'")
    return candidates[0] if candidates else ","


def _rows(text: str, file: str, delimiter: str) -> list[list[str]]:
    """Return all records, which have one length; the first has the names."""
    try:
        rows = [cells for cells in _reader(text, delimiter) if cells]
        if len(set(map(len, rows))) <= 1:
            return rows
        width = len(rows[0])
        line, cells = next((line, cells) for line, cells in _records(text, delimiter) if len(cells) != width)
    except csv.Error as error:
        raise DataError(
            f"{file}: the record after line {_last_line(text, delimiter)} cannot be read ({str(error)[:80]}): an "
            "unclosed quotation mark, or text after a closing one"
        ) from None
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    between = DELIMITERS.get(delimiter, shown(delimiter))
    raise DataError(
        f"{file}: line {line} has {count}, the first line has {width} (delimiter: {between}): fix the line, or give "
        "another delimiter with --delimiter"
    )


def _last_line(text: str, delimiter: str) -> int:
    """Return the line in which the last readable record starts; 0 if there is none."""
    last = 0
    with suppress(csv.Error):
        for line, _ in _records(text, delimiter):
            last = line
    return last


def _names(rows: list[list[str]], file: str, delimiter: str, decimal: str) -> list[str]:
    """Return the names of columns, from the first row."""
    if not rows:
        raise DataError(f"{file} is empty: expected a header line with the names of columns, then rows")
    names = [cell.strip() or f"column {number}" for number, cell in enumerate(rows[0], 1)]
    if len(names) == 1:
        other = next((each for each in DELIMITERS if each != delimiter and each in names[0]), None)
        if other is not None:
            raise DataError(
                f"{file} has one column, {shown(names[0])}, with {shown(delimiter)} between cells: try "
                f"--delimiter {shown(other)}"
            )
    try:
        check_names(names)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    if all(is_number(cell.strip(), decimal) for cell in rows[0]):
        raise DataError(f"{file}: the first line has numbers, {shown(rows[0][0])}: expected the names of columns")
    if len(rows) == 1:
        raise DataError(f"{file} has the names of {len(names)} columns, but no rows")
    return names


# -- decimal mark ----------------------------------------------------------------------------------------------------


def _decimal(names: Sequence[str], columns: Sequence[Sequence[str | None]], file: str) -> str:
    """Detect the decimal mark; raise `DataError` if it is ambiguous."""
    if not any(cell is not None and "," in cell for column in columns for cell in column):
        return "."
    with_point, with_comma, unclear = list[str](), list[str](), list[str]()
    for name, column in zip(names, columns, strict=True):
        signs, certain = set[str](), False
        for cell in column:
            if cell is None or WHOLE.fullmatch(cell):
                continue
            if BOTH_SIGNS.fullmatch(cell) and "," in cell and "." in cell:
                raise DataError(f"{file}: column {name!r} has {cell!r}, with thousands separators: remove them")
            if not HAS_DECIMALS.fullmatch(cell):
                if not is_number(cell):
                    signs.clear()
                    break  # not a column of numbers
                continue
            sign = "," if "," in cell else "."
            signs.add(sign)
            certain = certain or (sign == "," and not THOUSANDS.fullmatch(cell))
        if signs == {",", "."}:
            raise DataError(f"{file}: column {name!r} has numbers with commas and with points: use one decimal mark")
        if signs:
            (with_point if signs == {"."} else with_comma if certain else unclear).append(name)
    if with_comma and not with_point:
        return ","
    if with_comma:
        raise DataError(
            f"{file}: column {with_comma[0]!r} has decimal commas, {with_point[0]!r} decimal points: choose with "
            "--decimal , or --decimal ."
        )
    if unclear:
        raise DataError(
            f"{file}: column {unclear[0]!r} has numbers such as 1,234, which may be about one or above a thousand: for "
            "decimal commas use --decimal , and for thousands remove the commas"
        )
    return "."
