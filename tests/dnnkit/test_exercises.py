"""Checked answers: right ones pass, and wrong ones get a reason."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from dnnkit import ops
from dnnkit.backends import Backend
from dnnkit.exercises import check_answer, find_fault

NUMBERS = st.floats(-1e6, 1e6).map(lambda x: round(x, 4))
"""Numbers of similar size, so that a change to one of them is not lost next to the largest."""

ANY = arrays(np.float64, array_shapes(min_dims=0, max_dims=3, max_side=4), elements=NUMBERS)
SEVERAL = arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=NUMBERS)
LARGE = arrays(np.float64, array_shapes(max_dims=3, max_side=4), elements=NUMBERS.filter(lambda x: abs(x) > 1))
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=NUMBERS)
SQUARES = st.integers(2, 4).flatmap(lambda n: arrays(np.float64, (n, n), elements=NUMBERS))
RIGHT = np.array([[1.0, -2.0, 3.0], [0.5, 0.0, -4.0]])


# -- right -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(ANY)
def test_the_right_answer_has_no_fault(right):
    assert find_fault(right, right) is None
    assert find_fault(right.tolist(), right) is None
    assert find_fault(right, right.tolist()) is None


@settings(max_examples=40)
@given(right=ANY, part=st.floats(-0.99, 0.99), tolerance=st.sampled_from([1e-9, 1e-6, 1e-2]))
def test_within_the_tolerance_of_the_largest_number_is_right(right, part, tolerance):
    largest = np.abs(right).max(initial=0)
    assume(largest > 0)
    assert find_fault(right + part * tolerance * largest, right, tolerance) is None


@settings(max_examples=40)
@given(right=ANY, tolerance=st.sampled_from([1e-9, 1e-6, 1e-2]))
def test_beyond_it_is_wrong(right, tolerance):
    largest = np.abs(right).max(initial=0)
    assume(largest > max(tolerance, 1e-3))  # below, the tolerance is of the tolerance
    assert find_fault(right + 1.01 * tolerance * largest, right, tolerance) is not None
    if right.ndim:
        one = right.copy()
        one[(0,) * right.ndim] -= 1.01 * tolerance * largest
        assert find_fault(one, right, tolerance) is not None


@pytest.mark.parametrize(
    ("given_answer", "right"),
    [
        (1, 1.0),
        (True, 1),
        (np.float32(0.1), 0.1),
        (np.array(2), 2),
        ((1, 2), [1, 2]),
        ([[1], [2]], np.array([[1], [2]])),
        (np.array([1, 2], np.uint8), [1.0, 2.0]),
        ([], []),
        (np.zeros((0, 3)), np.ones((0, 3))),
        (0, 0.0),
        (-0.0, 0.0),
    ],
)
def test_anything_with_the_right_numbers_is_right(given_answer, right):
    assert find_fault(given_answer, right) is None


def test_arrays_of_every_backend_are_accepted(backend: Backend):
    assert find_fault(ops.sigmoid(RIGHT), 1 / (1 + np.exp(-RIGHT))) is None
    assert find_fault(ops.sigmoid(RIGHT), 1 - 1 / (1 + np.exp(-RIGHT))) is not None


def test_where_zeros_are_expected_only_zeros_are_right():
    assert find_fault([0.0, 1e-13], [0, 0]) is None
    assert find_fault([0.0, 1e-9], [0, 0]) == "it is 1e-09 at (1,) where 0 is expected; 1 of 2 numbers are wrong"


# -- not an answer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, ..., Ellipsis])
def test_a_missing_answer_is_distinguished_from_a_wrong_one(nothing):
    assert find_fault(nothing, 1.0) == "not answered yet: replace the ... by your code"
    assert "not answered yet" in find_fault(nothing, RIGHT)


@pytest.mark.parametrize(
    ("thing", "kind"),
    [("three", "str"), ([1, ...], "list"), ([[1, 2], [3]], "list"), ({}, "dict"), (print, "builtin"), (1j, "complex")],
)
def test_answers_that_are_not_numbers_are_named(thing, kind):
    assert find_fault(thing, [1, 2]).startswith(f"expected numbers, not {kind}")


@pytest.mark.parametrize(("thing", "right"), [("0.5", 0.5), (["1", "2"], [1, 2]), (np.array([1 + 2j]), [1.0])])
def test_texts_and_complex_numbers_are_no_numbers_either(thing, right):
    assert str(find_fault(thing, right)).startswith("expected numbers")


@settings(max_examples=40)
@given(right=SEVERAL, bad=st.sampled_from([np.nan, np.inf, -np.inf]), data=st.data())
def test_a_number_that_is_not_finite_is_named(right, bad, data):
    assume(right.size)
    answer = right.copy()
    answer.flat[data.draw(st.integers(0, right.size - 1))] = bad
    assert "NaN or infinite" in find_fault(answer, right)


def test_a_single_number_that_is_not_finite_is_named():
    assert "division by 0" in find_fault(float("nan"), 1.0)


# -- shapes ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(MATRICES)
def test_a_transposed_matrix_is_called_so(right):
    assume(right.shape[0] != right.shape[1])
    rows, columns = right.shape
    fault = find_fault(right.T, right)
    assert fault == f"shape ({columns}, {rows}) where ({rows}, {columns}) is expected: it is transposed"


@settings(max_examples=40)
@given(SQUARES)
def test_a_transposed_square_is_called_so(matrix):
    """Positive numbers, larger above the diagonal: no sign and no scale makes it its own transpose."""
    right = np.abs(matrix) + np.triu(np.full(matrix.shape, 1 + 2 * np.abs(matrix).max()), 1) + np.eye(len(matrix))
    assert find_fault(right.T, right) == "it is transposed"


@pytest.mark.parametrize(
    ("shape", "expected", "words"),
    [
        ((2, 3), (3, 2), "it is transposed"),
        ((3, 1), (1, 3), "it is transposed"),
        ((6,), (2, 3), "the number of elements is right, so reshape it"),
        ((2, 3), (6,), "the number of elements is right, so reshape it"),
        ((3,), (3, 1), "the number of elements is right, so reshape it"),
        ((1,), (), "the number of elements is right, so reshape it"),
        ((2, 3, 1), (3, 2, 1), "the number of elements is right, so reshape it"),
        ((4,), (), "a sum or mean is missing"),
        ((2, 3), (), "a sum or mean is missing"),
        ((), (4,), "there is one sum or mean too many"),
        ((), (2, 3), "there is one sum or mean too many"),
    ],
)
def test_the_fault_of_a_shape_is_reported(shape, expected, words):
    assert find_fault(np.ones(shape), np.ones(expected)) == f"shape {shape} where {expected} is expected: {words}"


@pytest.mark.parametrize(("shape", "expected"), [((2,), (3,)), ((2, 3), (3, 3)), ((0,), (2,)), ((3, 2, 2), (3, 2))])
def test_another_shape_is_reported(shape, expected):
    assert find_fault(np.ones(shape), np.ones(expected)) == f"shape {shape} where {expected} is expected"


@settings(max_examples=40)
@given(given_answer=ANY, right=ANY)
def test_an_answer_of_another_shape_is_never_right(given_answer, right):
    assume(given_answer.shape != right.shape)
    assert find_fault(given_answer, right).startswith(f"shape {given_answer.shape} where {right.shape} is expected")


# -- values ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(ANY)
def test_a_wrong_sign_is_called_so(right):
    assume(np.abs(right).max(initial=0) > 0)
    assert find_fault(-right, right) == "the sign is wrong: it points the other way"


@settings(max_examples=40)
@given(right=SEVERAL, factor=st.floats(1.1, 1e6), less=st.booleans(), negative=st.booleans())
def test_a_wrong_scale_is_called_so_with_its_size(right, factor, less, negative):
    assume(right.size > 1)
    assume(np.abs(right).max() > 0)
    fault = find_fault(right * (1 / factor if less else factor) * (-1 if negative else 1), right)
    assert f"it is {factor:.4g} times too {'small' if less else 'large'}" in fault
    assert ("the sign is wrong" in fault) == negative


@settings(max_examples=40)
@given(right=ANY, factor=st.integers(2, 1000), less=st.booleans(), negative=st.booleans())
def test_of_a_single_number_too_if_a_whole_factor_explains_it(right, factor, less, negative):
    assume(np.abs(right).max(initial=0) > 0)
    fault = find_fault(right * (1 / factor if less else factor) * (-1 if negative else 1), right)
    assert f"it is {factor} times too {'small' if less else 'large'}" in fault
    assert ("the sign is wrong" in fault) == negative


@pytest.mark.parametrize("right", [0.002, 1.0, -3.0, 50.0])
@pytest.mark.parametrize("ratio", [1.5, -1.7, 0.7, 2.3, 1.01])
def test_else_a_single_wrong_number_is_a_wrong_number(right, ratio):
    """One number is a multiple of any other."""
    assert find_fault(ratio * right, right) == f"it is {ratio * right:.6g} where {right:.6g} is expected"
    assert find_fault([ratio * right], [right]) == f"it is {ratio * right:.6g} at (0,) where {right:.6g} is expected"


@pytest.mark.parametrize("right", [1e6, 1e9])
def test_a_large_single_number_is_no_other(right):
    assert find_fault(1.7 * right, right) == f"it is {1.7 * right:.6g} where {right:.6g} is expected"


def test_a_sum_in_place_of_a_mean_is_a_wrong_scale():
    rows = np.arange(12.0).reshape(4, 3)
    assert "4 times too large" in find_fault(rows.sum(axis=0), rows.mean(axis=0))
    assert "2 times too small" in find_fault(rows / 2, rows)


@settings(max_examples=40)
@given(right=LARGE, data=st.data())
def test_one_wrong_entry_is_found(right, data):
    """At least three numbers, none of which is 0, so that no sign and no scale explains the fault."""
    assume(right.size > 2)
    place = data.draw(st.integers(0, right.size - 1))
    answer = right.copy()
    answer.flat[place] += 2 * np.abs(right).max()
    index = tuple(int(i) for i in np.unravel_index(place, right.shape))
    expected = f"it is {answer[index]:.6g} at {index} where {right[index]:.6g} is expected"
    assert find_fault(answer, right) == f"{expected}; 1 of {right.size} numbers are wrong"


def test_of_several_wrong_entries_the_worst_is_shown():
    answer = RIGHT.copy()
    answer[0, 1], answer[1, 2] = -2.5, 4.0
    assert find_fault(answer, RIGHT) == "it is 4 at (1, 2) where -4 is expected; 2 of 6 numbers are wrong"


def test_zeros_are_neither_a_scale_nor_a_sign():
    assert find_fault(np.zeros((2, 3)), RIGHT) == "it is 0 at (1, 2) where -4 is expected; 5 of 6 numbers are wrong"
    assert find_fault(0.0, 2.0) == "it is 0 where 2 is expected"
    assert find_fault(2.0, 0.0) == "it is 2 where 0 is expected"


def test_a_scale_is_never_1_times_wrong():
    assert "is 1 times" not in find_fault([2.000004, -4.000008], [2, -4])


@settings(max_examples=40)
@given(given_answer=ANY, right=ANY)
def test_there_is_a_fault_exactly_where_numbers_differ(given_answer, right):
    bound = 1e-6 * max(np.abs(right).max(initial=0), 1e-6)
    same = given_answer.shape == right.shape and bool((np.abs(given_answer - right) <= bound).all())
    fault = find_fault(given_answer, right)
    assert (fault is None) == same


# -- output ----------------------------------------------------------------------------------------------------------


def test_right_answers_are_printed_and_returned(capsys):
    assert check_answer("dx", [1, 2], [1, 2]) is True
    assert capsys.readouterr().out == "✓ dx is right\n"


def test_wrong_answers_are_printed_and_returned(capsys):
    assert check_answer("the loss", -0.5, 0.5) is False
    assert capsys.readouterr().out == "✗ the loss: the sign is wrong: it points the other way\n"


def test_a_blank_is_printed(capsys):
    assert check_answer("dw", ..., RIGHT) is False
    assert capsys.readouterr().out == "✗ dw: not answered yet: replace the ... by your code\n"


def test_the_tolerance_is_the_callers(capsys):
    assert check_answer("p", 0.501, 0.5) is False
    assert check_answer("p", 0.501, 0.5, tolerance=0.01) is True
    assert [line[0] for line in capsys.readouterr().out.splitlines()] == ["✗", "✓"]


def test_answers_are_left_as_they_are():
    answer, right = -RIGHT, RIGHT.copy()
    find_fault(answer, right)
    np.testing.assert_array_equal(answer, -RIGHT)
    np.testing.assert_array_equal(right, RIGHT)
