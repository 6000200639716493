"""Gradients' products on packed rows of a: the bits of those that read a in place, within the memory given."""

import numba
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.aligned import address, zeros
from dnnkit.kernels._target.processor import FUSED
from dnnkit.kernels.matmul import cpu, limits
from dnnkit.kernels.matmul.limits import (
    DEPTH,
    MOST_TILE_ROWS,
    PACKED_AREA,
    PACKED_BY_COLUMNS,
    PACKED_BY_INDEX,
    packed_bytes,
)
from dnnkit.kernels.matmul.offer_words import AREA, AREA_BYTES, OFFER_WORDS

pytestmark = pytest.mark.skipif(not FUSED, reason="without fused multiply-add nothing is computed in tiles")
GUARD, BEHIND = 77, 1 << 18
"""What the memory contains, and the bytes behind those that may be used."""


@numba.njit(nogil=True)
def multiply(x, y, out, index, offer, is_packed):
    size, depth = out.itemsize, y.shape[0]
    places = np.int64(out.ctypes.data), np.int64(x.ctypes.data), np.int64(y.ctypes.data)
    rows, columns, step = out.shape[0], out.shape[1], x.strides[0] // size
    if is_packed:
        given = (
            places[0], rows, columns, places[1], step, places[2], y.strides[0] // size, 1, depth, index, 0, 0, offer,
        )  # fmt: skip
        cpu.multiply_packed(out.dtype.type(0), given)
    else:
        numbers = (
            places[0], rows, columns, places[1], 1, step, places[2], y.strides[0] // size, 1, depth, 0, index, 0, 0, 0,
            0,
        )  # fmt: skip
        cpu.multiply_in_tiles(out.dtype.type(0), numbers)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["float32", "float64"]),
    st.integers(1, 200),
    st.integers(1, 2 * DEPTH + 40),
    st.integers(1, 150),
    st.booleans(),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
@example("float64", 13, DEPTH + 1, 100, True, 1, 0)
@example("float32", 2 * MOST_TILE_ROWS + 3, DEPTH, 65, False, 1, 0)
def test_the_bits_are_those_of_rows_in_place(
    dtype: str, rows: int, depth: int, columns: int, by_index: bool, tiles: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(depth + 30, rows)).astype(dtype)
    y = rng.normal(size=(depth, columns)).astype(dtype)
    order = rng.permutation(len(x))[:depth]
    size = x.itemsize
    bytes_ = tiles * MOST_TILE_ROWS * DEPTH * size
    area, offer = zeros((bytes_ + BEHIND,), "uint8"), zeros((OFFER_WORDS,), "int64")
    area[:] = GUARD
    offer[AREA], offer[AREA_BYTES] = address(area), bytes_
    index = address(order) if by_index else 0
    outs = [np.full((rows, columns), np.nan, dtype) for _ in range(2)]
    for is_packed, out in enumerate(outs):
        multiply(x, y, out, index, address(offer), bool(is_packed))
    np.testing.assert_array_equal(outs[0], outs[1])
    taken = x[order] if by_index else x[:depth]
    np.testing.assert_allclose(outs[1], taken.T @ y, rtol=0, atol=2e-3 if dtype == "float32" else 1e-11)
    assert (area[bytes_:] == GUARD).all()


@pytest.mark.parametrize(("least", "columns"), [PACKED_BY_INDEX, PACKED_BY_COLUMNS])
def test_memory_is_enough_for_a_tile_and_bounded(least: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for rule in ("PACKED_BY_INDEX", "PACKED_BY_COLUMNS"):
        monkeypatch.setattr(limits, rule, (least, columns))
    for size in (4, 8):
        for rows, inputs in ((1, 10**6), (10**6, 1), (300, 300), (64, 40), (10, 10)):
            found = packed_bytes(rows, inputs, columns // size, size)
            assert (found > 0) == (rows * inputs * size >= least)
            if found:
                assert MOST_TILE_ROWS * DEPTH * size <= found <= PACKED_AREA
                assert found >= min(PACKED_AREA, min(rows, DEPTH) * inputs * size)
            assert packed_bytes(rows, inputs, columns // size - 1, size) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_networks_pack_where_it_pays_and_train_alike(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    width = PACKED_BY_INDEX[1] // np.dtype(dtype).itemsize + 1
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
