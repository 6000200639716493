"""Denormals: zero while networks are trained, and only then."""

import numba
import numpy as np
import pytest

import dnnkit as dk
from dnnkit.kernels._numba import flush_to_zero

TINY = np.float32(1e-40)


@numba.njit(nogil=True)
def halves(values, out, counting):
    """Write half of each to `out`, with the switch on or not, and after it was restored."""
    if counting:
        setting = flush_to_zero.enable()
    for e in range(values.size):
        out[0, e] = values[e] * np.float32(0.5)
    if counting:
        flush_to_zero.restore(setting)
    for e in range(values.size):
        out[1, e] = values[e] * np.float32(0.5)


@pytest.mark.skipif(not flush_to_zero.HAS_SWITCH, reason="this processor has no such switch")
def test_they_count_as_zero_between_switching_and_restoring() -> None:
    values, out = np.full(9, TINY), np.empty((2, 9), np.float32)
    halves(values, out, False)
    assert (out == TINY / 2).all()
    halves(values, out, True)
    assert (out[0] == 0).all()
    assert (out[1] == TINY / 2).all()


@pytest.mark.skipif(not flush_to_zero.HAS_SWITCH, reason="this processor has no such switch")
@pytest.mark.parametrize("samples", [8, 20_000])
def test_training_leaves_no_denormals_and_restores_the_callers_setting(samples: int) -> None:
    """In this thread, or in worker threads where there is much to do."""
    x = np.zeros((samples, 3), np.float32)
    x[0] = 1  # seen once per epoch: in between, the first moment shrinks
    net = dk.Sequential([dk.Dense(1, use_bias=False)], backend="numba", seed=0)
    net.compile(dk.Adam(), "mean_squared_error")
    epochs = 1 if samples > 1000 else 200
    net.fit(x, np.ones((samples, 1)), batch_size=1, epochs=epochs, shuffle=False, verbose=0)
    moments = net.executable.snapshot().slots["first_moment/dense/kernel"]
    subnormal = (moments != 0) & (np.abs(moments) < np.finfo(np.float32).tiny)
    assert not subnormal.any()
    if samples > 1000:
        assert (moments == 0).all()
    assert TINY * np.float32(0.5) != 0
