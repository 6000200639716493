"""The stand-in is as strict as CuPy, or stricter; and everything it has, CuPy has."""

import importlib.util
import inspect
import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import processes
from tests.cuda_compile import nvrtc
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in import counts, memory
from tests.requirements import miss

pytestmark = pytest.mark.cuda_on_cpu
CUPY = "CuPy, to be looked at without a GPU: pip install cupy-cuda13x"


REFUSED: dict[str, Callable[[Any, Any], Any]] = {
    "becoming a NumPy array": lambda xp, x: np.asarray(x),
    "a NumPy function": lambda xp, x: np.sum(x),
    "a NumPy ufunc": lambda xp, x: np.exp(x),
    "a NumPy array at its right": lambda xp, x: x + np.ones(3),
    "a NumPy array at its left": lambda xp, x: np.ones(3) + x,
    "a NumPy array as an argument": lambda xp, x: xp.maximum(x, np.ones(3)),
    "a list as an argument": lambda xp, x: xp.maximum(x, [1.0, 2.0, 3.0]),
    "a NumPy array as an index": lambda xp, x: x[np.array([0, 1])],
    "a NumPy array assigned": lambda xp, x: x.__setitem__(slice(None), np.ones(3)),
    "being an index": lambda xp, x: [1, 2, 3][xp.asarray(1)],
    "telling its namespace": lambda xp, x: x.__array_namespace__(),
    "an array of text": lambda xp, x: xp.asarray(["a"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_failures_on_a_gpu_are_failures_here(cupy: Any, what: str) -> None:
    with pytest.raises((TypeError, AttributeError, IndexError, ValueError)):
        REFUSED[what](cupy, cupy.asarray(np.ones(3)))


def test_numbers_of_numpy_are_operands(cupy: Any) -> None:
    x = cupy.asarray(np.ones(3, np.float32))
    assert (np.float32(2) * x + 1).get().tolist() == [3, 3, 3]
    assert (x * np.float64(2)).dtype == np.float64  # as in NumPy 2


def test_a_sum_stays_on_the_gpu_until_it_is_read(cupy: Any) -> None:
    total = cupy.sum(cupy.asarray(np.ones(3)))
    assert type(total) is cupy.ndarray
    assert total.shape == ()
    assert counts.waits == 0
    assert float(total) == 3
    assert counts.waits == 1


def test_memory_that_was_not_written_is_seen(cupy: Any) -> None:
    assert np.isnan(cupy.empty((3, 2), np.float32).get()).all()
    assert cupy.empty(3, np.int64).get().tolist() == [-1] * 3


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only there the simulation can do it")
@pytest.mark.parametrize("real", ["float", "double"])
def test_float32_denormals_are_zero_in_a_kernel(cupy: Any, real: str) -> None:
    add = cupy.RawModule(code=KERNEL, options=("-std=c++17", f"-DREAL={real}")).get_function("add")
    kind = np.float32 if real == "float" else np.float64
    smallest = np.finfo(kind).smallest_subnormal
    x = cupy.asarray(np.array([smallest, -smallest], kind))
    add((1,), (32,), (x, kind(smallest), x, np.int32(2)))
    assert x.get().tolist() == ([0, 0] if real == "float" else [2 * smallest, 0])


def test_memory_is_counted_and_has_an_end(cupy: Any) -> None:
    memory.limit = memory.used[0] + 3000
    first = cupy.empty(1000, np.uint8)
    view = first[10:20].reshape(2, 5)
    assert view.base is first
    before = memory.used[0]
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating 2,048 bytes"):
        cupy.empty(2000, np.uint8)
    del first
    assert memory.used[0] == before  # the view holds it
    del view
    assert memory.used[0] < before
    cupy.empty(2000, np.uint8)


def test_an_array_is_used_on_its_device_only(cupy: Any) -> None:
    with cupy.cuda.Device(1):
        x = cupy.zeros(3)
    with pytest.raises(ValueError, match="array device = 1 while current = 0"):
        x + 1
    assert x.copy().device.id == 0


def test_a_copy_in_another_stream_arrives_only_when_its_event_is_awaited(cupy: Any) -> None:
    copies, source, x = cupy.cuda.Stream(), np.arange(3.0), cupy.zeros(3)
    copies.wait_event(cupy.cuda.get_current_stream().record())
    x.set(source, stream=copies)
    sent = copies.record()
    assert x.get().tolist() == [0, 0, 0]
    cupy.cuda.get_current_stream().wait_event(sent)
    assert x.get().tolist() == [0, 1, 2]


def test_writing_a_source_before_the_copy_arrives_spoils_it(cupy: Any) -> None:
    copies, source, x = cupy.cuda.Stream(), np.arange(3.0), cupy.empty(3)
    x.set(source, stream=copies)
    source[...] = 7
    copies.record().synchronize()
    assert x.get().tolist() == [7, 7, 7]


def test_a_copy_into_memory_that_may_still_be_read_is_an_error(cupy: Any) -> None:
    copies, x = cupy.cuda.Stream(), cupy.zeros(3)
    before = cupy.cuda.get_current_stream().record()
    x + 1
    copies.wait_event(before)
    with pytest.raises(RuntimeError, match="memory that is still in use"):
        x.set(np.ones(3), stream=copies)


def test_freeing_pinned_memory_during_a_copy_is_detected(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noticed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: noticed.append(str(found.exc_value)))
    copies, x = cupy.cuda.Stream(), cupy.empty(3)
    for waits in (True, False):
        source = np.frombuffer(cupy.cuda.alloc_pinned_memory(24), np.float64)
        source[...] = 1
        x.set(source, stream=copies)
        if waits:
            copies.record().synchronize()
        del source
        assert len(noticed) == (not waits)


KERNEL = """extern "C" __global__ void add(const REAL* x, REAL by, REAL* y, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) y[i] = x[i] + by;
}"""


def test_a_kernel_takes_the_arguments_that_it_takes_on_a_gpu(cupy: Any) -> None:
    add = cupy.RawModule(code=KERNEL, options=("-std=c++17", "-DREAL=double")).get_function("add")
    x, y = cupy.asarray(np.arange(5.0)), cupy.empty(5)
    add((1,), (32,), (x, np.float64(2), y, np.int32(5)))
    assert y.get().tolist() == [2, 3, 4, 5, 6]
    assert counts.launches == {"add": 1}
    assert counts.waits == 1
    columns = cupy.asarray(np.ones((5, 5))).T
    for wrong in (np.arange(5.0), columns, cupy.zeros(5, np.float32)):
        with pytest.raises((TypeError, ValueError)):
            add((1,), (32,), (wrong, np.float64(2), y, np.int32(5)))


def test_a_cooperative_grid_that_does_not_fit_is_cut_with_a_warning(cupy: Any) -> None:
    """As CuPy does; `launch` makes an error of it (`test_resident_kernel.py`)."""
    module = cupy.RawModule(code=KERNEL, options=("-DREAL=double",), enable_cooperative_groups=True)
    x, y = cupy.zeros(32_000), cupy.zeros(32_000)
    arguments = (x, np.float64(2), y, np.int32(32_000))
    module.get_function("add")((128,), (32,), arguments)
    assert y.get().sum() == 2 * 128 * 32
    with pytest.warns(UserWarning, match="The grid size will be reduced from 1000 to 128, as the specified grid size"):
        module.get_function("add")((1000,), (32,), arguments)
    assert y.get().sum() == 2 * 128 * 32
    with pytest.raises(ValueError, match=r"\(2 \* 500 \* 1\) exceeds the limit \(128\)"):
        module.get_function("add")((2, 500, 1), (32,), arguments)


def test_shared_memory_above_48_kib_has_to_be_requested(cupy: Any) -> None:
    add = cupy.RawModule(code=KERNEL, options=("-DREAL=double",)).get_function("add")
    x, y = cupy.zeros(32), cupy.zeros(32)
    with pytest.raises(AssertionError, match="100000 bytes of shared memory"):
        add((1,), (32,), (x, np.float64(2), y, np.int32(32)), shared_mem=100_000)
    add.max_dynamic_shared_size_bytes = 100_000
    add((1,), (32,), (x, np.float64(2), y, np.int32(32)), shared_mem=100_000)
    assert y.get().tolist() == [2] * 32


COMPARE = """
import inspect, json, sys
import cupy, cupy.cuda.memory, cupyx.scipy.special

found = {}
for name in json.loads(sys.argv[1]):
    module, *path = name.split(".")
    thing = sys.modules[module]
    for part in path:
        thing = getattr(thing, part, "missing")
    try:
        found[name] = None if thing == "missing" else list(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        found[name] = []
print(json.dumps(found))
"""
"""The argument names of each function, empty where it does not report them, null where CuPy has no such name."""


@pytest.mark.extras
def test_cupy_compiles_with_the_options_used_to_check_kernels() -> None:
    """CuPy has them in one Python file, which can be read without a GPU."""
    spec = importlib.util.find_spec("cupy")
    if spec is None or spec.origin is None:
        miss(CUPY)
    source = Path(spec.origin).with_name("cuda").joinpath("compiler.py").read_text()
    for option in nvrtc.CUPY_ADDS:
        assert f"options += ('{option}',)" in source


@pytest.mark.extras
def test_every_name_of_the_stand_in_exists_in_cupy() -> None:
    """Every name, and every argument name where CuPy's functions report them; needs CuPy and no GPU."""
    names: dict[str, Any] = {}
    for module, contents in ((name, cupy_stand_in.modules()[name]) for name in cupy_stand_in.MODULES):
        public = {key: value for key, value in vars(contents).items() if not key.startswith("_")}
        names |= {f"{module}.{key}": value for key, value in public.items()}
        for key, value in public.items():
            if inspect.isclass(value) and value.__module__.startswith(("cupy", "tests.")):
                names |= {f"{module}.{key}.{part}": None for part in vars(value) if not part.startswith("_")}
    command = [sys.executable, "-W", "ignore", "-c", COMPARE, json.dumps(sorted(names))]
    result = processes.run(command)
    if "No module named 'cupy'" in result.stderr:
        miss(CUPY)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert not [name for name, parameters in found.items() if parameters is None]
    compared = 0
    for name, parameters in found.items():
        if not parameters or not inspect.isfunction(names[name]) or "kwargs" in parameters or "args" in parameters:
            continue
        own = list(inspect.signature(names[name]).parameters)
        assert own == parameters[: len(own)] or set(own) <= set(parameters), f"{name}: {own}, CuPy's: {parameters}"
        compared += 1
    assert compared > 25
