"""Targets: what is encoded is decoded as it was, also after JSON."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.errors import CheckpointError, DataError
from dnnkit.tables.targets import ClassTarget, LabelTarget, NumberTarget, target_of

LABELS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(allow_nan=False), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4), min_size=1),
)


@given(LABELS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_classes_come_back_in_their_dtype(y: list[object], as_objects: bool) -> None:
    given_y = np.array(y, object) if as_objects else np.array(y)
    target = ClassTarget.fit(given_y)
    numbers = target.encode(given_y)
    assert (numbers.dtype, numbers.min() >= 0, numbers.max() < len(target.classes)) == (np.int64, True, True)
    again = target_of(json.loads(json.dumps(target.to_dict())))
    for each in (target, again):
        decoded = each.decode(numbers)
        assert decoded.dtype == given_y.dtype
        assert decoded.tolist() == given_y.tolist()


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_numbers_come_back(y: list[float], has_columns: bool) -> None:
    values = np.stack([y, np.full(len(y), 7.0)], axis=1) if has_columns else np.array(y)
    target = NumberTarget.fit(values)
    encoded = target.encode(values)
    assert encoded.shape == (len(y), 2 if has_columns else 1)
    assert abs(encoded.mean(axis=0)).max() < 1e-3
    again = target_of(json.loads(json.dumps(target.to_dict())))
    assert again == target
    assert again.decode(encoded) == pytest.approx(values, rel=1e-9, abs=1e-9 * (1 + np.abs(values).max()))


def test_huge_numbers_are_standardised() -> None:
    y = np.array([1e308, -1e308, 1e300])
    target = NumberTarget.fit(y)
    assert target.encode(y)[:, 0] == pytest.approx([1.2247, -1.2247, 0], abs=1e-3)


def test_labels_are_zeros_and_ones() -> None:
    y = np.array([[1, 0, 1], [0, 0, 1]])
    target = LabelTarget.fit(y)
    assert target_of(target.to_dict()) == target
    assert np.array_equal(target.decode(target.encode(y)), y)


REFUSED = [
    (lambda: ClassTarget.fit(["a", None, "b"]), "no value in 1 of 3 rows, first in row 1"),
    (lambda: ClassTarget.fit(np.array([1.0, np.nan])), "no value in 1 of 2 rows"),
    (lambda: ClassTarget.fit(np.array(["a", 1], object)), "several types, int, str"),
    (lambda: ClassTarget.fit([[1, 2], [3, 4]]), "one class per row"),
    (lambda: ClassTarget.fit(["a", "b"]).encode(["c"]), "'c' in row 0, not one of the 2 classes"),
    (lambda: ClassTarget.fit(["a", "b"]).encode([1]), "1 in row 0, not one of"),
    (lambda: ClassTarget.fit([]), "at least one row"),
    (lambda: NumberTarget.fit(["a", "b"]), "expected numbers"),
    (lambda: NumberTarget.fit([1.0, np.nan]), "no value in 1 of 2 rows"),
    (lambda: NumberTarget.fit([1.0, np.inf]), "infinite in row 1"),
    (lambda: NumberTarget.fit([1.0]).encode([[1.0, 2.0]]), "2 outputs: expected 1"),
    (lambda: LabelTarget.fit([[1, 2]]), "zeros and ones"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_invalid_targets_are_one_clear_error(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError) as error:
        call()
    assert words in str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"kind": "planet"},
        {"kind": "classes", "dtype": "int64", "values": []},
        {"kind": "classes", "dtype": "int8", "values": [1000]},
        {"kind": "classes", "dtype": "<U3", "values": ["b", "a"]},
        {"kind": "classes", "dtype": "O'; import os", "values": ["a"]},
        {"kind": "labels", "labels": -1},
    ],
    ids=str,
)
def test_untrusted_json_is_validated(value: object) -> None:
    with pytest.raises(CheckpointError):
        target_of(value)
