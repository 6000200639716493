"""Messages while CUDA kernels compile."""

import logging
from itertools import count

import pytest

from dnnkit.kernels._cuda import compile_notice


@pytest.mark.parametrize(("seconds", "lines"), [(0.3, 1), (0.05, 0)])
def test_one_line_for_a_series_that_takes_longer_than_a_second(
    seconds: float, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = count()
    monkeypatch.setattr(compile_notice, "monotonic", lambda: next(clock) * seconds)
    monkeypatch.setattr(compile_notice, "_series", compile_notice._Series())
    monkeypatch.setenv("CUPY_CACHE_DIR", "/kept")
    with caplog.at_level(logging.WARNING, "dnnkit"):
        for _ in range(8):
            with compile_notice.compiling():
                pass
    assert [record.getMessage().endswith("CuPy stores them in /kept") for record in caplog.records] == [True] * lines


def test_a_series_ends_with_a_pause(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    times = iter([0, 0.9, 10, 10.9, 20, 20.9])
    monkeypatch.setattr(compile_notice, "monotonic", lambda: next(times))
    monkeypatch.setattr(compile_notice, "_series", compile_notice._Series())
    for _ in range(3):
        with compile_notice.compiling():
            pass
    assert not caplog.records
