"""Hostile changes: of JSON by its structure, of any bytes directly. Each is drawn, so it can be shrunk."""

import copy
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]


@dataclass(frozen=True)
class Raw:
    """Raw text of a JSON file, which `json` would not write."""

    text: str


BOMB = {"type": "Formula", "name": "f", "formula": "cosh(2^(x+1e30))", "parameters": []}
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 7, 64, 65, 1000, 10**6, 10**9, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**30, 10**300,
    0.5, -0.0, 1e-320, 1e308, Raw("1e999"), Raw("NaN"), Raw("-Infinity"), Raw("1" * 400), Raw("1" * 6000),
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", "a", "\0", "é\u2028", "\ud800", "..", "../../x", "/dev/zero", "x" * 300, "x" * 100_000, "relu", "float64",
    "float16", "object", "S2000000000", "units/64@4", "units/100000@32", "rows/1000000@4", "rows/4@6", "units/-1@4",
    "numpy", "cupy:0", "nobody", "Dense", "array", "BF16", "F8_E4M3", "sha256", "000001", "000009", "1" * 5000,
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [1, 2], [0] * 1000, [10**9], [2**62, 2**62], {"type": "Dense"},
    {"type": "Dense", "units": 10**8}, {"type": "Dense", "units": 3, "activation": BOMB}, {"type": "Flatten"}, BOMB,
    {"type": "Formula", "name": "g", "formula": "x*x", "parameters": [["a", Raw("1e999")]]},
    {"type": "Dropout", "rate": 0.5},
    {"type": "array", "dtype": "S2000000000", "values": [1]}, {"type": "array", "dtype": "float64", "values": [[1], 2]},
    {"type": "array", "dtype": "float32", "values": [1, 2, 3]}, {"type": "SGD", "learning_rate": 1, "momentum": 0.5},
    Raw("[" * 100_000), Raw("[" * 900 + "]" * 900), Raw('{"a":' * 20_000 + "1" + "}" * 20_000),
)  # fmt: skip

VALUES = st.one_of(
    st.sampled_from(NUMBERS),
    st.sampled_from(TEXTS),
    st.sampled_from(OTHERS),
    st.integers(-5, 100),
    st.floats(allow_nan=False),
    st.text(max_size=8),
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "replace", "remove", "add", "repeat", "move"]),
        st.integers(0, 999),
        st.integers(0, 999),
        VALUES,
    ),
    min_size=1,
    max_size=3,
)
"""Edits: (what to do, the index of the value among all, that of another value, a value)."""

BYTE_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "insert", "cut", "truncate", "repeat"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(
            st.binary(min_size=1, max_size=8),
            st.sampled_from([b"\0" * 8, b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"[" * 5000, b"\n", b'"', b"-", b"9" * 30]),
        ),
    ),
    min_size=1,
    max_size=4,
)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value within, the whole first."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*path, name))


def edited(value: Any, edits: Sequence[tuple[str, int, int, Any]]) -> Any:
    """Return the JSON value after the edits."""
    value = copy.deepcopy(value)
    for kind, number, other, new in edits:
        paths = list(places(value))
        *way, last = paths[number % len(paths)] or (None,)
        parent = value
        for name in way:
            parent = parent[name]
        if last is None:
            value = copy.deepcopy(new) if kind == "replace" and other % 10 == 0 else value
            continue
        if kind == "replace":
            parent[last] = copy.deepcopy(new)
        elif kind == "remove":
            del parent[last]
        elif kind == "move":
            moved = value
            for name in paths[other % len(paths)]:
                moved = moved[name]
            parent[last] = copy.deepcopy(moved)
        elif kind == "add":
            if isinstance(parent, dict):
                parent[new if isinstance(new, str) else f"more{other}"] = copy.deepcopy(new)
            else:
                parent.append(copy.deepcopy(new))
        elif isinstance(parent[last], list):
            parent[last] = parent[last] * (other % 7)
    return value


def written(value: Any) -> bytes:
    """Return the bytes of a JSON file, `Raw` unchanged."""
    raw: list[str] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Raw):
            raw.append(value.text)
            return f"raw text {len(raw) - 1}."
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list) else value

    text = json.dumps(plain(value))
    for number, each in enumerate(raw):
        text = text.replace(f'"raw text {number}."', each)
    return text.encode()


def changed(data: bytes, edits: Sequence[tuple[str, float, bytes]]) -> bytes:
    """Return the bytes after the edits."""
    for kind, share, new in edits:
        at = int(share * len(data))
        if kind == "set":
            data = data[:at] + new + data[at + len(new) :]
        elif kind == "insert":
            data = data[:at] + new + data[at:]
        elif kind == "cut":
            data = data[:at] + data[at + len(new) * 4 :]
        elif kind == "truncate":
            data = data[:at]
        else:
            data = data[:at] + data[at : at + 40] * 3 + data[at:]
    return data
