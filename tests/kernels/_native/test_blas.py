"""Products in compiled code: correct for every shape and order, by a BLAS that no other code uses."""

import json
import os
import sys
import threading

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels._native import blas as library
from dnnkit.kernels._numba import blas
from tests import processes

SIZES = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 61, 64, 65, 127, 128, 129, 255, 257]
DTYPES = ["float32", "float64"]


@numba.njit(nogil=True)
def multiply(a, b, out):
    size = out.itemsize
    blas.multiply(
        out.dtype.type(0), np.int64(out.ctypes.data), out.shape[0], out.shape[1],
        np.int64(a.ctypes.data), a.strides[0] // size, a.strides[1] // size,
        np.int64(b.ctypes.data), b.strides[0] // size, b.strides[1] // size, a.shape[1],
    )  # fmt: skip


def operands(m: int, k: int, n: int, dtype: str, orders: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a (m, k) and b (k, n), each in the order of its letter: C, or F for the transpose of a contiguous array."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    return np.array(a, order=orders[0]), np.array(b, order=orders[1])


def check(a: np.ndarray, b: np.ndarray) -> None:
    """Against NumPy in float64, within the rounding of k additions; the old content of `out` plays no part."""
    out = np.full((a.shape[0], b.shape[1]), np.nan, a.dtype)
    multiply(a, b, out)
    wide = a.astype(np.float64), b.astype(np.float64)
    bound = (a.shape[1] + 1) * np.finfo(a.dtype).eps * (np.abs(wide[0]) @ np.abs(wide[1]))
    assert (np.abs(out - wide[0] @ wide[1]) <= bound).all()


@pytest.mark.parametrize("orders", ["CC", "FC", "CF", "FF"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_is_numpys(dtype: str, orders: str) -> None:
    check(*operands(5, 7, 3, dtype, orders))

    @settings(max_examples=50)
    @given(st.sampled_from(SIZES), st.sampled_from(SIZES), st.sampled_from(SIZES), st.integers(0, 9))
    def for_all_shapes(m: int, k: int, n: int, seed: int) -> None:
        check(*operands(m, k, n, dtype, orders, seed))

    for_all_shapes()


@pytest.mark.parametrize("orders", ["CC", "FC", "CF", "FF"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_with_a_side_of_nothing_or_one_are_numpys(dtype: str, orders: str) -> None:
    for m in (0, 1, 13):
        for k in (0, 1, 13):
            for n in (0, 1, 13):
                check(*operands(m, k, n, dtype, orders))


def test_a_product_of_whole_numbers_is_exact() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 9, (65, 129)).astype(np.float32), rng.integers(-9, 9, (129, 33)).astype(np.float32)
    out = np.empty((65, 33), np.float32)
    multiply(a, b, out)
    np.testing.assert_array_equal(out, a @ b)


def test_nan_passes_through_a_product() -> None:
    a, b = np.ones((3, 4), np.float32), np.ones((4, 2), np.float32)
    a[1, 2], b[0, 1] = np.nan, np.inf
    out = np.empty((3, 2), np.float32)
    multiply(a, b, out)
    np.testing.assert_array_equal(out, [[4, np.inf], [np.nan, np.nan], [4, np.inf]])


def test_concurrent_products_have_the_same_bits_as_sequential_ones() -> None:
    pairs = [operands(m, k, n, "float32", "CC", m) for m, k, n in [(64, 300, 128), (33, 64, 257), (128, 17, 10)] * 2]
    outs = [np.empty((a.shape[0], b.shape[1]), np.float32) for a, b in pairs]
    alone = [np.empty_like(out) for out in outs]
    for (a, b), out in zip(pairs, alone, strict=True):
        multiply(a, b, out)

    def often(place: int) -> None:
        for _ in range(300):
            multiply(*pairs[place], outs[place])
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


def test_the_library_describes_itself() -> None:
    said = library.describe()
    assert said.startswith("OpenBLAS 0.")
    assert said.endswith(", one thread per worker")
    assert "kernels for " in said


OTHERS = """
import ctypes, json, os, sys
import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_info, threadpool_limits

def pools():
    return {pool["filepath"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

threadpool_limits(3, user_api="blas")
rng = np.random.default_rng(0)
a = rng.normal(size=(200, 200)).astype(np.float32)
before, product, factors = pools(), a @ a, scipy.linalg.lu_factor(a)[0]
import dnnkit as dk
net = dk.Sequential([dk.Dense(64, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend="numba")
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
net.fit(a, np.arange(200) % 3, epochs=2, verbose=0)
from dnnkit.kernels._native import blas as library
from dnnkit.kernels._native.functions import provide
from dnnkit.kernels._native import blas
after = pools()
try:
    ctypes.CDLL(None).scipy_cblas_sgemm
    visible = True
except AttributeError:
    visible = False
print(json.dumps({
    "before": before, "after": after, "ours": blas.library()._name, "visible": visible,
    "own threads": blas.library().scipy_openblas_get_num_threads(),
    "imported": blas.PACKAGE in sys.modules,
    "same": bool((product == a @ a).all() and (factors == scipy.linalg.lu_factor(a)[0]).all()),
}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no namespace of all libraries to look into")
def test_numpy_and_scipy_keep_their_own_blas_and_its_threads() -> None:
    environment = {**os.environ, "DNNKIT_PARTITION": "units/2"}
    result = processes.run([sys.executable, "-c", OTHERS], env=environment)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["before"]
    assert set(found["before"].values()) == {3}
    assert {path: found["after"][path] for path in found["before"]} == found["before"]
    assert os.path.realpath(found["ours"]) not in map(os.path.realpath, found["before"])
    assert (found["own threads"], found["visible"], found["imported"]) == (1, False, False)
    assert found["same"]
