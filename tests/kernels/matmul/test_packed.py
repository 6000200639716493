"""Products by rows: the bits of those in panels, within the memory given."""

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.aligned import address, zeros
from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES
from dnnkit.kernels.matmul import blocks, cpu
from dnnkit.kernels.matmul.limits import (
    BY_INDEX,
    DEPTH_BY_ROWS,
    DEPTH_OF_COLUMNS,
    FAR_AWAY,
    FEW_COLUMNS,
    IN_COLUMNS,
    IN_ROWS,
    LARGEST_IN_COLUMNS,
    LEAST_BYTES_BY_INDEX,
    LEAST_BYTES_PER_ROW_BY_INDEX,
    PACKED_AREA,
    SOME_COLUMNS,
    VECTORS_BY_ROWS,
    computes_by_rows,
    packed_bytes,
)
from dnnkit.kernels.matmul.offer_words import AREA, AREA_BYTES, OFFER_WORDS

pytestmark = pytest.mark.skipif(not FUSED, reason="without fused multiply-add nothing is computed in tiles")
GUARD, BEHIND = 77, 1 << 18
"""What the memory contains, and the bytes behind those that may be used."""
PANEL = DEPTH_BY_ROWS * VECTORS_BY_ROWS * REGISTER_BYTES
"""Bytes of the least memory."""


@numba.njit(nogil=True)
def multiply(a, b, out, indexes, bias, offer, by_rows):
    size = out.itemsize
    numbers = (
        np.int64(out.ctypes.data), out.shape[0], out.shape[1], np.int64(a.ctypes.data), a.strides[0] // size,
        a.strides[1] // size, np.int64(b.ctypes.data), b.strides[0] // size, b.strides[1] // size, indexes[4],
        indexes[0], indexes[1], indexes[2], indexes[3], bias, offer,
    )  # fmt: skip
    if by_rows:
        blocks.multiply_by_rows(out.dtype.type(0), numbers)
    else:
        cpu.multiply_in_tiles(out.dtype.type(0), numbers)


def both(a, b, shape, dtype, memory: int, indexes=(0, 0, 0, 0), depth: int = 0, bias=None) -> np.ndarray:
    """Multiply by rows in some memory, and in panels; compare all bits, and the bytes behind the memory."""
    area, offer = zeros((memory + BEHIND,), "uint8"), zeros((OFFER_WORDS,), "int64")
    area[:] = GUARD
    offer[AREA], offer[AREA_BYTES] = address(area), memory
    outs = [np.full(shape, np.nan, dtype) for _ in range(2)]
    for by_rows, out in enumerate(outs):
        given_ = np.array([*indexes, depth or b.shape[0]])
        multiply(a, b, out, given_, 0 if bias is None else address(bias), address(offer) * by_rows, bool(by_rows))
    np.testing.assert_array_equal(outs[0], outs[1])
    assert (area[memory:] == GUARD).all()
    return outs[1]


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 200),
    st.integers(1, DEPTH_BY_ROWS + 40),
    st.integers(1, 150),
    st.sampled_from(["CC", "FC", "CF", "FF"]),
    st.sampled_from(["", "steps", "rows"]),
    st.booleans(),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
@example("float64", 13, DEPTH_OF_COLUMNS + 1, 100, "FC", "steps", False, 1, 0)
@example("float32", 19, DEPTH_BY_ROWS, 65, "CC", "", True, 1, 0)
@example("float64", 8, DEPTH_BY_ROWS + 1, 17, "CF", "rows", True, 2, 0)
def test_the_bits_are_those_in_panels(
    dtype: str, rows: int, depth: int, columns: int, orders: str, index: str, has_bias: bool, panels: int, seed: int
) -> None:
    """Of steps by index, which gradients read, and of rows by index, which forward passes do."""
    rng = np.random.default_rng(seed)
    bound = 2e-3 if dtype == "float32" else 1e-11
    b = np.asarray(rng.normal(size=(depth, columns)), dtype, orders[1])
    order = rng.permutation((depth if index == "steps" else rows) + 30)[: depth if index == "steps" else rows]
    if index == "steps":
        x = rng.normal(size=(depth + 30, rows)).astype(dtype)
        out = both(x.T, b, (rows, columns), dtype, panels * PANEL, (0, address(order), 0, 0))
        np.testing.assert_allclose(out, x[order].T @ b, rtol=0, atol=bound)
        return
    by_rows = index == "rows" and orders[0] == "C"
    a = np.asarray(rng.normal(size=(rows + 30, depth)), dtype, orders[0])
    a = a if by_rows else np.asarray(a[:rows], order=orders[0])
    bias = rng.normal(size=columns).astype(dtype) if has_bias else None
    indexes = (address(order) if by_rows else 0, 0, 0, 0)
    out = both(a, b, (rows, columns), dtype, panels * PANEL, indexes, bias=bias)
    expected = (a[order] if by_rows else a) @ b + (0 if bias is None else bias)
    np.testing.assert_allclose(out, expected, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_that_are_zero_are_left_out_by_rows_too(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(150, 700)).astype(dtype), rng.normal(size=(700, 131)).astype(dtype)
    columns, rows = np.flatnonzero(rng.random(700) < 0.8), rng.permutation(150)[:70]
    x[:, np.setdiff1d(np.arange(700), columns)] = 0
    indexes = (address(rows), address(columns), address(columns), 0)
    out = both(x, w, (70, 131), dtype, 2 * PANEL, indexes, len(columns))
    np.testing.assert_allclose(out, x[rows] @ w, rtol=0, atol=2e-3 if dtype == "float32" else 1e-11)


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(270, 520, 38), (250, 300, 257), (250, 131, 513), (190, 1400, 37)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_behind_the_memory_of_a_layer_is_written(dtype: str, rows: int, inputs: int, outputs: int) -> None:
    """Transposes of a kernel are written in squares, which can be deeper than it."""
    rng = np.random.default_rng(0)
    w, dz = rng.normal(size=(inputs, outputs)).astype(dtype), rng.normal(size=(rows, outputs)).astype(dtype)
    memory = packed_bytes(rows, inputs, outputs, w.itemsize)
    assert memory > 0
    out = both(dz, w.T, (rows, inputs), dtype, memory)
    np.testing.assert_allclose(out, dz @ w.T, rtol=0, atol=2e-3 if dtype == "float32" else 1e-11)
    x = rng.normal(size=(rows, inputs)).astype(dtype)
    both(x, w, (rows, outputs), dtype, memory)
    both(x.T, dz, (inputs, outputs), dtype, memory)


@pytest.mark.parametrize("size", [4, 8])
def test_products_by_rows_are_large(size: int) -> None:
    few, by_index = FEW_COLUMNS // size, LEAST_BYTES_PER_ROW_BY_INDEX // size
    cases = [
        (IN_ROWS, FAR_AWAY // size // 100 - few - 1, few + 1),
        (IN_COLUMNS, FAR_AWAY // size // 100, few + 1),
        (BY_INDEX, LEAST_BYTES_BY_INDEX // size // 100, by_index),
    ]
    for order, depth, columns in cases:
        assert computes_by_rows(100, depth + 1, columns, size, order)
        assert not computes_by_rows(100, depth + 1, columns - 1, size, order)
        assert not computes_by_rows(100, depth - 1, columns, size, order)
        is_any = order == IN_ROWS and REGISTER_BYTES == 64
        assert computes_by_rows(100, LARGEST_IN_COLUMNS, SOME_COLUMNS // size + 1, size, order) == is_any
        assert computes_by_rows(100, LARGEST_IN_COLUMNS, columns, size, order) == (is_any or order != IN_ROWS)


def test_memory_is_enough_for_a_panel_and_bounded() -> None:
    sizes = (1, 3, 40, 64, 100, 300, 1000, 10**5)
    for size in (4, 8):
        for rows in sizes:
            for inputs in sizes:
                for outputs in sizes:
                    of_kernel, found = (inputs, rows, outputs), packed_bytes(rows, inputs, outputs, size)
                    products = [((rows, inputs, outputs), IN_ROWS), ((rows, outputs, inputs), IN_ROWS)]
                    products += [(of_kernel, IN_COLUMNS), (of_kernel, BY_INDEX)]
                    used = [shape for shape, order in products if computes_by_rows(*shape, size, order)]
                    assert (found > 0) == bool(used)
                    assert found == 0 or PANEL <= found <= PACKED_AREA
                    assert all(found >= min(PACKED_AREA, min(d, DEPTH_BY_ROWS) * c * size) for _, d, c in used)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_pack_where_it_pays_and_train_alike(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    width = LEAST_BYTES_PER_ROW_BY_INDEX // np.dtype(dtype).itemsize + 1
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, 131)).astype(dtype), rng.normal(size=(700, 3)).astype(dtype)

    def trained() -> tuple[dk.Sequential, int]:
        layers = [dk.Dense(width, activation="tanh"), dk.Dense(2 * width, activation="relu"), dk.Dense(3)]
        net = dk.Sequential(layers, backend="numba", dtype=dtype, seed=0)
        net.compile("sgd", "mean_squared_error")
        net.fit(x, y, batch_size=350, epochs=2, verbose=0)
        return net, net.executable.epoch.team._packed.nbytes

    packed, some = trained()
    assert some > 0
    import dnnkit.backends.numba_backend.team_memory as module

    monkeypatch.setattr(module, "packed_bytes", lambda *_: 0)
    plain, none = trained()
    assert none == 0
    for name, value in packed.parameters.items():
        np.testing.assert_array_equal(value, plain.parameters[name])
