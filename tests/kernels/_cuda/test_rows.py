"""Rows on the GPU: through tiles, in registers, as streams, and what decides between them."""

import numpy as np
import pytest

from dnnkit.errors import ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses, metrics
from dnnkit.kernels._cuda.launch import MOST_COLUMNS
from dnnkit.kernels._cuda.rows import AS_STREAMS, IN_REGISTERS, IN_TILES, Division, ways
from dnnkit.testing.cases import DTYPES
from tests.cuda_on_cpu.compiling import SHARED_BYTES

ITEMS = {"float32": 4, "float64": 8}
COLUMNS = [1, 2, 3, 10, 16, 17, 32, 33, 36, 100, 131, 511, 513, 1024, 1032, 2050]
"""Tiles of one thread per row and of several; registers of part of a warp and of a whole one; streams."""
TOLERANCE = {"float32": 3e-6, "float64": 4e-15}


def softmax(x):
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def by_gpu(gpu, name, scores, targets, scale, shift):
    gradient, loss = gpu.full(scores.shape, scores.dtype, shift), gpu.full((), np.float64)
    arrays = gpu.put(scores, shift), gpu.put(targets), None
    losses.loss_and_gradient(registry.loss(name), *arrays, scale, gradient, loss)
    return float(gpu.get(loss)), gpu.get(gradient)


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_every_length(gpu, dtype, shift, rng, few_blocks):
    """Maxima first, last and in between, so that a sum over a stream is rescaled, or is not."""
    loss, activation = registry.loss("softmax_cross_entropy"), registry.activation("softmax")
    launcher, tolerance = registry.version("softmax", "gpu"), TOLERANCE[dtype]
    for columns in COLUMNS:
        x = rng.normal(size=(37, columns)) * 4
        x[0].sort()
        x[1] = -np.sort(-x[1]) - 1e4
        x = x.astype(dtype)
        exact, dy, labels = x.astype(np.float64), rng.normal(size=x.shape).astype(dtype), rng.integers(0, columns, 37)
        values = softmax(rng.normal(size=x.shape)).astype(dtype)
        for targets in (labels, values):
            found, gradient = by_gpu(gpu, "softmax_cross_entropy", x, targets, 0.5, shift)
            expected, slope = loss.loss_and_gradient(exact, targets, None, 0.5)
            np.testing.assert_allclose(found, float(expected), rtol=10 * tolerance, err_msg=f"{columns} columns")
            np.testing.assert_allclose(gradient, slope, rtol=0, atol=tolerance, err_msg=f"{columns} columns")
            right = gpu.full(1, np.float64)
            metrics.total("categorical_accuracy", gpu.put(x, shift), gpu.put(targets), None, 0.5, right)
            best = targets if targets.ndim == 1 else targets.argmax(axis=1)
            assert gpu.get(right)[0] == np.sum(x.argmax(axis=1) == best), columns
        y, dx = gpu.put(x, shift), gpu.put(dy, shift)
        launcher.forward(y, y)
        np.testing.assert_allclose(gpu.get(y), softmax(exact), rtol=0, atol=tolerance, err_msg=f"{columns} columns")
        launcher.backward(dx, y, dx)
        slope = activation.backward(dy.astype(np.float64), softmax(exact))
        np.testing.assert_allclose(gpu.get(dx), slope, rtol=0, atol=4 * tolerance, err_msg=f"{columns} columns")


@pytest.mark.parametrize("columns", [10, 64, 131, 2048, 2050])
def test_nan_spoils_its_row_and_no_other(gpu, columns):
    """-inf has probability 0: the others share everything, wherever it comes first."""
    x = np.zeros((6, columns), np.float32)
    x[0, columns // 2], x[1, -1], x[2, 0], x[3, 1:], x[4, -1] = np.nan, np.inf, -np.inf, -np.inf, -np.inf
    y = gpu.put(x)
    registry.version("softmax", "gpu").forward(y, y)
    y = gpu.get(y)
    assert np.isnan(y[:2]).all()
    np.testing.assert_allclose(y[2], np.r_[0, np.full(columns - 1, 1 / (columns - 1))], rtol=1e-6)
    np.testing.assert_array_equal(y[3], np.r_[1, np.zeros(columns - 1)])
    np.testing.assert_allclose(y[4], np.r_[np.full(columns - 1, 1 / (columns - 1)), 0], rtol=1e-6)
    np.testing.assert_allclose(y[5], 1 / columns, rtol=1e-6)
    for row, best in [(0, columns // 2), (1, columns - 1), (2, 1), (3, 0), (5, 0)]:
        right = gpu.full(1, np.float64)
        metrics.total("categorical_accuracy", gpu.put(x[row : row + 1]), gpu.put([best]), None, 0.5, right)
        assert gpu.get(right)[0] == 1, row
    lowest = gpu.put(np.full((1, columns), -np.inf, np.float32))
    metrics.total("categorical_accuracy", lowest, gpu.put([0]), None, 0.5, right)
    assert gpu.get(right)[0] == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_tiles_fit_into_the_default_shared_memory(dtype):
    source = losses.source("softmax_cross_entropy", dtype)
    for columns in range(1, 2100):
        division, size = Division.of(source, columns), columns * ITEMS[dtype]
        assert 2 * division.tile + 1024 <= SHARED_BYTES, columns
        assert (division.tile > 0) == (division.rows == IN_TILES)
        assert division.at_once * division.group == 256
        assert division.rows != IN_REGISTERS or size <= 128 * division.group, "a thread has 128 bytes at most"
        assert division.rows != IN_TILES or size <= 64 * division.group, "and of a tile 64"


def test_rows_that_are_passed_over_once_are_not_held():
    found = {name: ways(losses.source(name, "float32")) for name in registry.names("loss")}
    assert [name for name, each in found.items() if IN_REGISTERS in each] == ["softmax_cross_entropy"]
    assert Division.of(losses.source("mean_squared_error", "float32"), 1024).rows == AS_STREAMS


def test_a_row_that_cannot_be_counted_is_an_error():
    source = losses.source("softmax_cross_entropy", "float32")
    assert Division.of(source, MOST_COLUMNS).group == 32
    with pytest.raises(ShapeError, match="1073741825 numbers; the GPU's kernels take 1073741824 at most"):
        Division.of(source, MOST_COLUMNS + 1)
