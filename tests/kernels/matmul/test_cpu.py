"""Products in tiles: correct for every shape and order, and nothing else is read or written."""

import ctypes
import mmap
import threading

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels._target import processor
from dnnkit.kernels.matmul import cpu, reference

SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 47, 48, 61, 64, 65, 127, 129, 255, 257]
DTYPES = ["float32", "float64"]
ORDERS = ["CC", "FC", "CF", "FF"]


@numba.njit(nogil=True)
def product(a, b, out):
    """As its size decides: number by number, in tiles, or by the BLAS."""
    cpu.multiply(out.dtype.type(0), numbers_of(a, b, out), cpu.in_tiles(a, b.shape[1]))


@numba.njit(nogil=True)
def in_tiles(a, b, out):
    """Of any size."""
    cpu.multiply_in_tiles(out.dtype.type(0), numbers_of(a, b, out))


@numba.njit(nogil=True)
def of_few_columns(a, b, out):
    """By the transposed product, of any size."""
    numbers = numbers_of(a, b, out)
    cpu.multiply_narrow(out.dtype.type(0), (*numbers[:10], numbers[14]))


@numba.njit(nogil=True)
def numbers_of(a, b, out):
    size = out.itemsize
    return (
        np.int64(out.ctypes.data), out.shape[0], out.shape[1], np.int64(a.ctypes.data), a.strides[0] // size,
        a.strides[1] // size, np.int64(b.ctypes.data), b.strides[0] // size, b.strides[1] // size, a.shape[1],
        0, 0, 0, 0, 0, 0,
    )  # fmt: skip


@numba.njit(nogil=True)
def plain(a, b, out):
    cpu.product(a, b, out, 0)


@numba.njit(nogil=True)
def with_transpose(a, b, out):
    cpu.product_with_transpose(a, b, out, 0)


@numba.njit(nogil=True)
def of_columns(x, first, y, out):
    cpu.product_of_columns(x, first, y, out, 0)


@numba.njit(nogil=True)
def of_rows(x, rows, columns, w, b, out):
    cpu.product_of_rows(x, rows, columns, w, b, out, 0)


@numba.njit(nogil=True)
def plus_bias(a, b, bias, out):
    cpu.product_and_bias(a, b, bias, out, 0)


@numba.njit(nogil=True)
def sum_rows(x, out):
    cpu.sum_rows(x, out)


@numba.njit(nogil=True)
def of_columns_in_use(x, rows, columns, first, y, out):
    cpu.product_of_nonzero_columns(x, rows, columns, first, y, out, 0)


def operands(m: int, k: int, n: int, dtype: str, orders: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a (m, k) and b (k, n), each in the order of its letter: C, or F for the transpose of a contiguous array."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    return np.array(a, order=orders[0]), np.array(b, order=orders[1])


def check(function, a: np.ndarray, b: np.ndarray) -> None:
    """Against the reference in float64, within the rounding of k additions; the old content of `out` plays no part."""
    out = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    function(a, b, out)
    a, b, exact = a.astype(np.float64), b.astype(np.float64), out.dtype
    bound = (a.shape[1] + 1) * np.finfo(exact).eps * (np.abs(a) @ np.abs(b))
    assert (np.abs(out - reference.product(a, b)) <= bound).all()


@pytest.mark.parametrize("function", [product, in_tiles])
@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_is_the_references(dtype: str, orders: str, function) -> None:
    check(function, *operands(5, 7, 3, dtype, orders))

    @settings(max_examples=60)
    @given(st.sampled_from(SIZES), st.sampled_from(SIZES), st.sampled_from(SIZES), st.integers(0, 9))
    def for_all_shapes(m: int, k: int, n: int, seed: int) -> None:
        check(function, *operands(m, k, n, dtype, orders, seed))

    for_all_shapes()


@pytest.mark.skipif(not processor.FUSED, reason="without fused multiply-add nothing is computed in tiles")
@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize(("rows", "depth", "columns"), [(701, 11, 300), (300, 500, 11), (703, 257, 23), (97, 64, 1400)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_too_large_for_the_cache_leave_the_bits(
    dtype: str, rows: int, depth: int, columns: int, orders: str
) -> None:
    """A row's bits do not depend on how many rows there are, which decides how they are read."""
    a, b = operands(rows, depth, columns, dtype, orders)
    assert max(rows * depth, rows * columns) * a.itemsize > cpu.FAR_AWAY
    whole = np.full((rows, columns), np.nan, dtype)
    in_tiles(a, b, whole)
    height = cpu.FAR_AWAY // (max(depth, columns) * a.itemsize)
    for first in range(0, rows, height):
        part = np.array(a[first : first + height], order=orders[0])
        out = np.full((len(part), columns), np.nan, dtype)
        in_tiles(part, b, out)
        np.testing.assert_array_equal(whole[first : first + height], out)
    check(in_tiles, a, b)


@pytest.mark.skipif(not processor.FUSED, reason="without fused multiply-add nothing is computed in tiles")
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_by_index_whose_products_are_too_large_for_the_cache_are_right(dtype: str) -> None:
    rng = np.random.default_rng(6)
    x, w, bias = (rng.normal(size=size).astype(dtype) for size in ((900, 13), (13, 301), 301))
    rows, columns = rng.permutation(900)[:703], np.array([0, 2, 3, 7, 12])
    for used in (np.arange(13), columns):
        kept = np.zeros_like(x)
        kept[:, used] = x[:, used]
        out = np.full((len(rows), 301), np.nan, dtype)
        of_rows(kept, rows, used, w, bias, out)
        assert out.nbytes > cpu.FAR_AWAY
        np.testing.assert_allclose(out, kept[rows] @ w + bias, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("rows", [1, 31, 64])
@pytest.mark.parametrize("dtype", DTYPES)
def test_deep_and_wide_products_are_right(dtype: str, rows: int) -> None:
    """More than one panel deep, and rows of b farther apart than a page."""
    for orders in ORDERS:
        check(in_tiles, *operands(rows, 1031, 1100, dtype, orders))


def test_a_product_too_large_for_the_caches_is_the_blas() -> None:
    a, b = operands(900, 600, 33, "float32", "CC")
    assert not cpu.in_tiles(a, 33)
    assert cpu.in_tiles(a[:100], 33) == processor.FUSED
    assert cpu.in_tiles(a, 8) == processor.FUSED  # each number of a is read once
    check(product, a, b)
    check(product, a, np.ascontiguousarray(b[:, :8]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_bias_and_a_sum_of_rows_round_as_plain_loops_do(dtype: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(*[st.one_of(st.sampled_from(SIZES), st.integers(0, 300))] * 3, st.integers(0, 9))
    def for_all_shapes(rows: int, depth: int, columns: int, seed: int) -> None:
        a, b = operands(rows, depth, columns, dtype, "CC", seed)
        bias = np.random.default_rng(seed).normal(size=columns).astype(dtype)
        actual, expected, sums = *np.full((2, rows, columns), np.nan, dtype), np.full(columns, np.nan, dtype)
        plus_bias(a, b, bias, actual)
        product(a, b, expected)
        np.testing.assert_array_equal(actual, expected + bias)
        sum_rows(actual, sums)
        total = np.zeros(columns, dtype)
        for row in actual:
            total += row
        np.testing.assert_array_equal(sums, total)

    for_all_shapes()
    a, b = operands(900, 600, 33, dtype, "CC")  # by the BLAS
    bias, actual, expected = b[0].copy(), *np.empty((2, 900, 33), dtype)
    plus_bias(a, b, bias, actual)
    product(a, b, expected)
    np.testing.assert_array_equal(actual, expected + bias)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 4, 5), (33, 17, 64), (600, 500, 33), (1, 1, 1), (2, 0, 3)])
def test_a_product_with_a_transpose_is_one(shape: tuple[int, int, int], dtype: str) -> None:
    a, b = operands(*shape, dtype, "CC")
    check(plain, a, b)
    check(lambda a, b, out: with_transpose(a, np.ascontiguousarray(b.T), out), a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_of_columns_is_that_part_of_the_product(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(37, 50)).astype(dtype), rng.normal(size=(37, 21)).astype(dtype)
    whole = np.empty((50, 21), dtype)
    in_tiles(x.T, y, whole)
    for first, count in [(0, 50), (0, 8), (8, 16), (24, 26), (49, 1)]:
        part = np.empty((count, 21), dtype)
        of_columns(x, first, y, part)
        np.testing.assert_array_equal(part, whole[first : first + count])


@pytest.mark.parametrize("share", [1.0, 0.6, 0.05, 0.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_in_use_are_multiplied_in_place_with_the_same_bits(dtype: str, share: float) -> None:
    """Other columns are zero in the rows of the batch, whatever other rows have there."""

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 70), st.sampled_from([1, 2, 7, 64, 129, 300]), st.sampled_from(SIZES[1:]), st.integers(0, 9))
    def for_all_shapes(count: int, features: int, outputs: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        columns = np.flatnonzero(rng.random(features) < share)
        x, rows = rng.normal(size=(97, features)).astype(dtype), rng.integers(0, 97, count)
        x[np.ix_(rows, np.setdiff1d(np.arange(features), columns))] = 0
        w, y = rng.normal(size=(features, outputs)).astype(dtype), rng.normal(size=(count, outputs)).astype(dtype)
        gathered, actual, expected = x[rows], *np.full((2, count, outputs), np.nan, dtype)
        bias = rng.normal(size=outputs if seed % 2 else 0).astype(dtype)
        of_rows(x, rows, columns, w, bias, actual)
        plus_bias(gathered, w, bias, expected)
        np.testing.assert_array_equal(actual, expected)
        for first, wanted in ((0, features), (features // 2, features - features // 2), (features - 1, 1)):
            actual, expected = np.full((2, wanted, outputs), np.nan, dtype)
            some = columns[(columns >= first) & (columns < first + wanted)]
            of_columns_in_use(x, rows, some, first, y, actual)
            of_columns(gathered, first, y, expected)
            np.testing.assert_array_equal(actual, expected)

    for_all_shapes()


@pytest.mark.parametrize("rows", [1, 31, 64])
def test_deep_and_wide_products_of_columns_in_use_are_right(rows: int) -> None:
    """More than one panel deep, and rows of b farther apart than a page."""
    rng = np.random.default_rng(0)
    columns, index = np.flatnonzero(rng.random(1031) < 0.7), rng.permutation(rows)
    x, w = np.zeros((rows, 1031)), rng.normal(size=(1031, 1100))
    x[:, columns] = rng.normal(size=(rows, len(columns)))
    actual, expected = np.full((2, rows, 1100), np.nan)
    of_rows(x, index, columns, w, np.empty(0), actual)
    in_tiles(x[index], w, expected)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_narrow_products_have_the_bits_of_wide_ones(dtype: str, orders: str) -> None:
    """The transpose is computed, with columns that nothing else fills."""

    @settings(max_examples=60, deadline=None)
    @given(st.integers(1, 600), st.integers(0, 400), st.integers(1, 8), st.integers(0, 9))
    def for_all_shapes(rows: int, depth: int, columns: int, seed: int) -> None:
        a, b = operands(rows, depth, columns, dtype, orders, seed)
        narrow, wide, plain = np.full((3, rows, columns), np.nan, dtype)
        of_few_columns(a, b, narrow)
        in_tiles(a, b, wide)
        product(a, b, plain)
        np.testing.assert_array_equal(narrow, wide)
        if processor.FUSED:
            np.testing.assert_array_equal(plain, wide)

    for_all_shapes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_loops_round_as_tiles_do(dtype: str) -> None:
    for orders in ORDERS:
        for shape in ((1, 1, 1), (4, 3, 1), (3, 4, 5), (8, 1, 7), (1, 64, 1)):
            a, b = operands(*shape, dtype, orders)
            small, tiles = np.empty((2, shape[0], shape[2]), dtype)
            product(a, b, small)
            in_tiles(a, b, tiles)
            np.testing.assert_array_equal(small, tiles)


def test_an_element_does_not_depend_on_the_others_computed_with_it() -> None:
    a, b = operands(40, 600, 70, "float32", "CC")
    whole, row, column = np.empty((40, 70), np.float32), np.empty((1, 70), np.float32), np.empty((40, 1), np.float32)
    in_tiles(a, b, whole)
    in_tiles(a[17:18], b, row)
    in_tiles(a, np.ascontiguousarray(b[:, 33:34]), column)
    np.testing.assert_array_equal(row[0], whole[17])
    np.testing.assert_array_equal(column[:, 0], whole[:, 33])


@pytest.mark.parametrize("orders", ORDERS)
def test_a_product_of_whole_numbers_is_exact(orders: str) -> None:
    rng = np.random.default_rng(0)
    a = np.array(rng.integers(-9, 9, (65, 129)), np.float32, order=orders[0])
    b = np.array(rng.integers(-9, 9, (129, 33)), np.float32, order=orders[1])
    out = np.empty((65, 33), np.float32)
    in_tiles(a, b, out)
    np.testing.assert_array_equal(out, a @ b)


@pytest.mark.parametrize("orders", ORDERS)
def test_nan_and_infinity_pass_through_and_spoil_nothing_else(orders: str) -> None:
    a, b = (
        np.array(np.ones(shape, np.float32), order=order)
        for shape, order in [((9, 20), orders[0]), ((20, 40), orders[1])]
    )
    a[1, 2], b[0, 1] = np.nan, np.inf
    out, expected = np.empty((9, 40), np.float32), np.full((9, 40), 20.0)
    in_tiles(a, b, out)
    expected[:, 1], expected[1] = np.inf, np.nan
    np.testing.assert_array_equal(out, expected)


@pytest.fixture(scope="module")
def fenced():
    """Arrays that end at unmapped memory: an access beyond them kills the process."""
    library, held = ctypes.CDLL(None), []
    if not hasattr(library, "mprotect"):
        pytest.skip("no mprotect here")

    def make(values: np.ndarray, order: str) -> np.ndarray:
        pages = -(-max(1, values.nbytes) // mmap.PAGESIZE)
        memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        held.append(memory)
        whole = np.frombuffer(memory, np.uint8)
        fence = ctypes.c_void_p(whole.ctypes.data + pages * mmap.PAGESIZE)
        assert library.mprotect(fence, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
        flat = whole[pages * mmap.PAGESIZE - values.nbytes : pages * mmap.PAGESIZE].view(values.dtype)
        array = flat.reshape(values.shape if order == "C" else values.shape[::-1])
        array = array if order == "C" else array.T
        array[...] = values
        return array

    return make


@pytest.mark.parametrize("orders", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_touched_beyond_the_factors_and_the_product(dtype: str, orders: str, fenced) -> None:
    for m in (1, 2, 7, 9, 50):
        for k in (1, 5, 17, 260):
            for n in (1, 3, 10, 17, 33, 65):
                values = operands(m, k, n, dtype, "CC")
                a, b = (fenced(value, order) for value, order in zip(values, orders, strict=True))
                out = fenced(np.zeros((m, n), dtype), "C")
                in_tiles(a, b, out)
                np.testing.assert_allclose(out, values[0] @ values[1], atol=1e-3)


def test_nothing_is_written_before_or_after_the_product() -> None:
    for n in (1, 10, 17, 31, 33):
        around = np.full(64 + 13 * n + 64, 7.0, np.float32)
        a, b = operands(13, 40, n, "float32", "CC")
        in_tiles(a, b, around[64:-64].reshape(13, n))
        assert (around[:64] == 7).all()
        assert (around[-64:] == 7).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_columns_in_use_are_all_that_is_touched(dtype: str, fenced) -> None:
    rng = np.random.default_rng(0)
    for features in (1, 17, 64, 260):
        for outputs in (1, 10, 33):
            columns = np.unique(rng.integers(0, features, features // 2 + 1))
            rows = np.append(rng.integers(0, 40, 12), 39)
            values = np.zeros((40, features), dtype)
            values[:, columns] = rng.normal(size=(40, len(columns)))
            x, w = fenced(values, "C"), fenced(np.ones((features, outputs), dtype), "C")
            y = fenced(np.ones((len(rows), outputs), dtype), "C")
            forward, back = fenced(np.zeros((len(rows), outputs), dtype), "C"), fenced(np.zeros_like(w), "C")
            bias, sums = fenced(np.arange(outputs, dtype=dtype), "C"), fenced(np.zeros(outputs, dtype), "C")
            numbers = fenced(rows, "C"), fenced(columns, "C")
            of_rows(x, *numbers, w, bias, forward)
            sum_rows(y, sums)
            of_columns_in_use(x, *numbers, 0, y, back)
            np.testing.assert_allclose(forward, values[rows] @ w + bias, atol=1e-3)
            np.testing.assert_array_equal(sums, len(rows))
            np.testing.assert_allclose(back, values[rows].T @ y, atol=1e-3)


def test_concurrent_products_have_the_same_bits_as_sequential_ones() -> None:
    pairs = [operands(m, k, n, "float32", "CF", m) for m, k, n in [(64, 300, 128), (33, 64, 257), (128, 17, 10)] * 2]
    outs = [np.empty((a.shape[0], b.shape[1]), np.float32) for a, b in pairs]
    alone = [np.empty_like(out) for out in outs]
    for (a, b), out in zip(pairs, alone, strict=True):
        product(a, b, out)

    def often(place: int) -> None:
        for _ in range(300):
            product(*pairs[place], outs[place])
            if not np.array_equal(outs[place], alone[place]):
                return
        finished.append(place)

    finished: list[int] = []
    threads = [threading.Thread(target=often, args=(place,)) for place in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(finished) == list(range(len(pairs)))
