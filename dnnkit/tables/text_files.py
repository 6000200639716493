"""CSV files as they come: what they do not say is found out, and where that is not clear it is asked for.

Python's csv reads them; here is what it leaves open: the encoding, the delimiter, the decimal sign, lines of unequal
length, names.
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
from dnnkit.tables.series import Series, is_number
from dnnkit.tables.table import Table, check_names, of_series

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""That are looked for."""

TAB = {"tab": "\t", "\\t": "\t"}
"""Words for what a shell hardly lets one type."""

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""What a file may begin with to say how it is encoded; the longer ones before those that they begin with."""

OTHERS = {
    b"PK\x03\x04": "an Excel sheet or a zip archive: save it as CSV",
    b"\x1f\x8b": "compressed: unpack it",
    b"PAR1": "a Parquet file: call it .parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel sheet: save it as CSV",
    b"\x93NUMPY": "an array of NumPy: call it .npy",
}
"""What other files begin with."""

SAMPLE_BYTES, SAMPLE_ROWS = 1 << 16, 100
"""From the beginning, in which delimiters are looked for."""

HAS_DECIMALS = re.compile(r"[+-]?\d*[.,]\d+(?:[eE][+-]?\d+)?")
WHOLE = re.compile(r"[+-]?\d+")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
"""What may be a whole number in thousands, or a fraction of three digits."""
BOTH_SIGNS = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+[.,]\d+")


class Lines(Sequence[int]):
    """The line in which each row of a text begins, looked for when an error needs it."""

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
    """The table of a text file's bytes; None of an option is found out."""
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
    """The text of a file's bytes; a mark at its beginning says how it is encoded, else it is UTF-8."""
    if not data.strip():
        raise DataError(f"{file} is empty: expected a line with the names of columns, and rows below it")
    marked = next((mark for mark in MARKS if data.startswith(mark)), None)
    if encoding is None:
        what = next((what for begin, what in OTHERS.items() if data.startswith(begin)), None)
        if what is not None:
            raise DataError(f"{file} is no text, but {what}")
        if marked is None and b"\0" in data[:SAMPLE_BYTES]:
            raise DataError(
                f"{file} has bytes of 0, which is no text, unless it is UTF-16: try --encoding utf-16-le, or utf-16-be"
            )
        encoding, data = MARKS.get(marked or b"", "utf-8"), data[len(marked or b"") :]
    else:
        _check_encoding(encoding)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{file} is not encoded as {encoding}: byte 0x{data[error.start]:02x} in line {line}; say how it is, "
            "perhaps by --encoding cp1252 (of Windows) or --encoding latin-1"
        ) from None
    except UnicodeError as error:
        raise DataError(f"{file} is not encoded as {encoding}: {str(error)[:100]}") from None
    if "\0" in text:
        raise DataError(f"{file} has characters of 0, which no text has: is the encoding right?")
    return text.removeprefix("\ufeff")


def _check_encoding(name: str) -> None:
    try:
        "".encode(name)
    except (LookupError, ValueError):  # of none, and of what encodes no text
        raise ConfigurationError(
            f"encoding is {shown(name)}: expected the name of one, such as utf-8, utf-16, latin-1 or cp1252"
        ) from None


# -- delimiter and rows ----------------------------------------------------------------------------------------------


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True
    )


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line in which each record begins, and its cells; lines without any are left out. Raises `csv.Error`."""
    reader, line = _reader(text, delimiter), 1
    for cells in reader:
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _delimiter(text: str, file: str) -> str:
    """The one of which each line has equally many; raises `DataError` where that are several, or none."""
    sample = text[:SAMPLE_BYTES]
    if len(text) > SAMPLE_BYTES and "\n" in sample:
        sample = sample[: sample.rindex("\n") + 1]
    widths: dict[str, list[int]] = {}
    for delimiter in DELIMITERS:
        widths[delimiter] = []
        with suppress(csv.Error):  # of a cell that goes on after the sample, perhaps
            widths[delimiter].extend(len(cells) for _, cells in islice(_records(sample, delimiter), SAMPLE_ROWS))
    steady = [delimiter for delimiter, found in widths.items() if found and found[0] > 1 and len(set(found)) == 1]
    in_names = [delimiter for delimiter, found in widths.items() if found and found[0] > 1]
    candidates = steady or in_names
    if len(candidates) > 1:
        names = " or ".join(DELIMITERS[each] for each in candidates)
        raise DataError(
            f"{file}: what stands between its cells may be a {names}: say which, such as --delimiter '{candidates[0]}'"
        )
    return candidates[0] if candidates else ","


def _rows(text: str, file: str, delimiter: str) -> list[list[str]]:
    """All records, of one length, with the names first."""
    try:
        rows = [cells for cells in _reader(text, delimiter) if cells]
        if len(set(map(len, rows))) <= 1:
            return rows
        width = len(rows[0])
        line, cells = next((line, cells) for line, cells in _records(text, delimiter) if len(cells) != width)
    except csv.Error as error:
        raise DataError(
            f"{file}: the record after line {_last_line(text, delimiter)} cannot be read ({str(error)[:80]}): a "
            "quotation mark is open, or text follows one that closes a cell"
        ) from None
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    between = DELIMITERS.get(delimiter, shown(delimiter))
    raise DataError(
        f"{file}: line {line} has {count}, the first line has {width}, with a {between} between them: mend the line, "
        "or say what else is between cells by --delimiter"
    )


def _last_line(text: str, delimiter: str) -> int:
    """The line in which the last record begins that can be read; 0 if none can."""
    last = 0
    with suppress(csv.Error):
        for line, _ in _records(text, delimiter):
            last = line
    return last


def _names(rows: list[list[str]], file: str, delimiter: str, decimal: str) -> list[str]:
    """The names of columns, from the first row."""
    if not rows:
        raise DataError(f"{file} is empty: expected a line with the names of columns, and rows below it")
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
        raise DataError(f"{file}: the first line has numbers, {shown(rows[0][0])} first: expected the names of columns")
    if len(rows) == 1:
        raise DataError(f"{file} has names of {len(names)} columns, and no rows below them")
    return names


# -- decimal sign ----------------------------------------------------------------------------------------------------


def _decimal(names: Sequence[str], columns: Sequence[Sequence[str | None]], file: str) -> str:
    """What stands before fractions; raises `DataError` where it may be either."""
    if not any(cell is not None and "," in cell for column in columns for cell in column):
        return "."
    with_point, with_comma, unclear = list[str](), list[str](), list[str]()
    for name, column in zip(names, columns, strict=True):
        signs, certain = set[str](), False
        for cell in column:
            if cell is None or WHOLE.fullmatch(cell):
                continue
            if BOTH_SIGNS.fullmatch(cell) and "," in cell and "." in cell:
                raise DataError(f"{file}: column {name!r} has {cell!r}, in thousands: write numbers without these")
            if not HAS_DECIMALS.fullmatch(cell):
                if not is_number(cell):
                    signs.clear()
                    break  # no column of numbers
                continue
            sign = "," if "," in cell else "."
            signs.add(sign)
            certain = certain or (sign == "," and not THOUSANDS.fullmatch(cell))
        if signs == {",", "."}:
            raise DataError(f"{file}: column {name!r} has numbers with commas and with points: mend them")
        if signs:
            (with_point if signs == {"."} else with_comma if certain else unclear).append(name)
    if with_comma and not with_point:
        return ","
    if with_comma:
        raise DataError(
            f"{file}: column {with_comma[0]!r} has fractions after a comma, {with_point[0]!r} after a point: say "
            "which is right, by --decimal , or --decimal ."
        )
    if unclear:
        raise DataError(
            f"{file}: column {unclear[0]!r} has numbers such as 1,234, about one or above a thousand: say which, by "
            "--decimal , for about one; for thousands write them without commas"
        )
    return "."
