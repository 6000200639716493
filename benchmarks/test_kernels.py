"""Every kernel by backend, dtype and size: one call, including completion of its work.

The calls are those of `dnnkit bench kernels`, which compares them with the machine's limits.
"""

from functools import lru_cache
from typing import Any

import pytest

from dnnkit.backends import available, get_backend
from dnnkit.bench.kernels import SIZES, Data, Work, names, works
from dnnkit.bench.timing import waits_for

BACKENDS = [info.name for info in available() if info.available]
DTYPES = [pytest.param("float32"), pytest.param("float64", marks=pytest.mark.slow)]
PLACES = [pytest.param("small"), pytest.param("large", marks=pytest.mark.slow)]


@lru_cache(maxsize=1)
def calls(backend: str, dtype: str, size: str) -> dict[str, Work]:
    """Return the calls of one combination at a time, because the data of all would fill the memory."""
    return {work.kernel: work for work in works(Data(SIZES[size], dtype, get_backend(backend)))}


@pytest.mark.parametrize("kernel", names())
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", PLACES)
def test_kernel(benchmark: Any, size: str, dtype: str, backend: str, kernel: str) -> None:
    chosen, work = get_backend(backend), calls(backend, dtype, size)[kernel]
    finish = waits_for(chosen)

    def run() -> Any:
        result = work.call(chosen)
        finish()
        return result

    benchmark.group = f"{kernel}, {dtype}, {size}"
    benchmark.extra_info |= {"bytes": work.moved, "operations": work.flops, "elements": SIZES[size]}
    with chosen.on_device():
        run()  # compiles
        assert benchmark(run) is not None
    if benchmark.stats is not None:  # none with --benchmark-disable
        benchmark.extra_info["GB/s"] = work.moved / benchmark.stats.stats.median / 1e9
