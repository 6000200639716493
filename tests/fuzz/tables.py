"""Tables: hostile CSV files and archives, and encoders and targets from hostile JSON."""

import io
import json
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.saves.schema import parsed
from dnnkit.tables.reading import TextOptions, read_table
from dnnkit.tables.table import Table
from dnnkit.tables.target_column import find_target
from dnnkit.tables.targets import ClassTarget, NumberTarget, target_of
from tests.fuzz.mutations import BYTE_EDITS, EDITS, changed, edited, written
from tests.fuzz.reader import Reader

CELLS = [
    "1", "-2.5", "1,5", "1.234,5", "1,234", "1e999", "1e308", "-1e308", "5e-324", "9" * 400, "nan", "inf", "NA", "?",
    "true", "False", "2026-01-31", "2026-02-31", "0001-01-01", "9999-12-31T23:59:59.999999Z", "2026-01-31 12:00+02:00",
    "02139", "1_0", "\u0661", '"', '"a"', '"a""b"', '"\n"', "'", "=1+1", "\x1b[31m", "\ufeff", "\u2028", "\0", "#",
    "", " ", "x", "ü", "x" * 2000,
]  # fmt: skip
TEXT = st.lists(
    st.one_of(st.sampled_from(CELLS), st.sampled_from([",", ";", "\t", "|", "\n", "\n", "\r\n"])), max_size=60
).map("".join)
"""Draw anything."""
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(st.text(max_size=4) | st.sampled_from(CELLS), min_size=width, max_size=width, unique=True),
        st.lists(st.lists(st.sampled_from(CELLS), min_size=width, max_size=width), min_size=1, max_size=12),
        st.sampled_from([",", ";", "\t"]),
    )
)
"""Draw names and rows of one length, most of which can be read."""
OPTIONS = st.just({}) | st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from([",", ";", " ", "", '"', "ab", "\n", "\0", "\ud800"]),
        "decimal": st.sampled_from([".", ",", "'", ""]),
        "encoding": st.sampled_from(
            ["utf-8", "utf-16", "utf-7", "latin-1", "idna", "zip", "\0", "punycode", "undefined"]
        ),
        "missing": st.sampled_from([("?",), ("x", "1")]),
    },
)
KINDS = [
    ["1", "-2.5", "1e308", "NA"], ["1,5", "2,25"], ["x", "ü", "", "x"], ["true", "False"],
    ["2026-01-31", "0001-01-01"], ["02139", "7"],
]  # fmt: skip
GOOD = (
    st.integers(1, 12)
    .flatmap(
        lambda rows: st.tuples(
            st.lists(st.sampled_from("abcdef"), min_size=2, max_size=4, unique=True),
            st.lists(st.sampled_from(KINDS), min_size=4, max_size=4),
            st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=rows, max_size=rows),
            st.sampled_from([";", "\t"]),
        )
    )
    .map(
        lambda drawn: (
            drawn[0],
            [[kind[n % len(kind)] for kind, n, _ in zip(drawn[1], row, drawn[0], strict=False)] for row in drawn[2]],
            drawn[3],
        )
    )
)
"""Draw columns of one kind each."""


@cache
def _archives() -> tuple[bytes, ...]:
    found = []
    for save in (np.savez, np.savez_compressed):
        data = io.BytesIO()
        save(
            data,
            a=np.arange(3),
            b=np.array(["x", "y", "x"]),
            c=np.ones((3, 2), np.float16),
            d=np.array(["2026"] * 3, "M8[D]"),
        )
        found.append(data.getvalue())
    return tuple(found)


def _use(table: Table) -> None:
    """Use a table as users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoder = dk.TabularEncoder(rare=1).fit(table)
    matrix = encoder.transform(table)
    assert np.isfinite(matrix).all()
    again = dk.TabularEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again.transform(table).tobytes() == matrix.tobytes()
    assert all(line.isprintable() and len(line) <= 80 for line in encoder.report())
    with suppress(dk.DnnkitError):  # most are invalid
        find_target(table, table.names[:1], None, "t.csv")


def _read_text(case: Any, folder: Path) -> None:
    content, edits, options = case
    if isinstance(content, tuple):
        names, rows, delimiter = content
        content = "\n".join(delimiter.join(cells) for cells in (names, *rows))
    data = content.encode("utf-8", "surrogatepass")
    (folder / "t.csv").write_bytes(changed(data, edits) if edits else data)
    _use(read_table(folder / "t.csv", TextOptions(**options)))


def _read_archive(case: Any, folder: Path) -> None:
    number, edits = case
    (folder / "t.npz").write_bytes(changed(_archives()[number], edits))
    _use(read_table(folder / "t.npz"))


TABLE = {"a": [1.5, None, 2.5], "b": ["x", "y", "x"], "c": [True, False, None], "d": ["2026-01-31", None, "2026-02-01"]}


@cache
def _described() -> tuple[Any, ...]:
    y = np.array(["a", "b", "a"])
    return (
        dk.TabularEncoder(embeddings=1).fit(TABLE).to_dict(),
        ClassTarget.fit(y).to_dict(),
        NumberTarget.fit([1.0, 2.0]).to_dict(),
    )


def _read_description(case: Any, folder: Path) -> None:
    number, edits = case
    value = parsed({"it": written(edited(_described()[number], edits))}, "it", "the save")
    if number == 0:
        encoder = dk.TabularEncoder.from_dict(value)
        encoder.report()
        assert np.isfinite(encoder.transform(TABLE)).all()
    else:
        target = target_of(value)
        target.decode(np.zeros((2, 1)) if number == 2 else np.zeros(2, int))


READERS = (
    Reader("table", st.tuples(TEXT | ROWS | GOOD, st.none() | st.none() | BYTE_EDITS, OPTIONS), _read_text, few=60),
    Reader("archive of columns", st.tuples(st.integers(0, 1), st.just([]) | BYTE_EDITS), _read_archive, few=20),
    Reader("encoder", st.tuples(st.integers(0, 2), EDITS), _read_description, few=40),
)
"""Return the readers of tables."""
