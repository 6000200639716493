"""Data and memory of the CuPy backend, on the stand-in: chunks, arrays of a GPU, freed memory."""

import gc
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.cupy_backend import streaming
from dnnkit.errors import DataError, DeviceMemoryError
from tests.backends.networks import data
from tests.cuda_on_cpu.cupy_networks import ADAM, DROPOUT, parameters, ready, steps
from tests.cuda_on_cpu.cupy_stand_in import counts, memory

pytestmark = pytest.mark.cuda_on_cpu


@pytest.mark.parametrize(("dtype", "weighted"), [(np.uint8, False), (np.float64, True)])
def test_data_larger_than_memory_go_in_chunks_with_the_same_bits(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, weighted: bool, dtype: Any
) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 17, (2001, 4, 4), dtype=np.uint8).astype(dtype)
    labels = x.reshape(2001, -1)[:, :10].argmax(axis=1)
    weights = rng.uniform(0.5, 1.5, 2001) if weighted else None
    results = []
    for room in (8 << 30, 150_000):
        memory.limit = room
        net = DROPOUT.network("cupy", "float32")
        y = DROPOUT.targets(labels)
        monkeypatch.setattr(streaming, "CHUNK", 13_000)
        monkeypatch.setattr(streaming, "PART", 3_000)  # which several threads gather
        history = net.fit(x, y, batch_size=50, epochs=2, sample_weight=weights, verbose=0)
        streamed = "data" in history.plan.details
        assert streamed == (room == 150_000)
        scores = net.predict(x, batch_size=100)
        results.append((history["loss"], parameters(net), scores.tobytes(), net.evaluate(x, y, batch_size=100)))
        del net
        gc.collect()
    assert results[0] == results[1]


@pytest.mark.parametrize("value", [np.nan, 1e39])
def test_data_larger_than_memory_are_checked_before_anything_is_sent(cupy: ModuleType, value: float) -> None:
    x = np.ones((3001, 16))
    x[2040, 3] = value
    memory.limit = 180_000
    net = ADAM.network("cupy", "float32")
    with pytest.raises(DataError, match=r"first in row 2040 \(as float32\)"):
        net.fit(x, np.zeros(3001, np.int64), verbose=0)


def _chunks() -> float:
    """Uploads: of twenty rows, or ten, inputs of 16 bytes and labels of 8."""
    return sum(counts.uploads.count(size) for size in (20 * 16, 160, 10 * 8)) / 2


def test_a_chunk_is_sent_while_the_one_before_is_computed(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy stream waits until a buffer is free, the computing stream until it is full; nothing else waits."""
    monkeypatch.setattr(streaming, "CHUNK", 500)
    net, _ = ready(ADAM)
    x, labels = data()
    memory.limit = memory.used[0] + 30_000
    monkeypatch.setattr("dnnkit.backends.cupy_backend.executable.RESIDENT", 0.0)
    executable = net.executable
    executable.begin_epoch(executable.load(x, labels, None), np.arange(90), 10)
    counts.reset()
    steps(net, 0, 1)
    assert _chunks() == 2
    steps(net, 1, 2)
    assert _chunks() == 2
    waited, copies = len(cupy.cuda.Stream.null.waited_for), executable._copies
    free = len(copies.waited_for)
    steps(net, 2, 9)
    assert _chunks() == 5
    assert len(cupy.cuda.Stream.null.waited_for) == waited + 4
    assert len(copies.waited_for) == free + 3


def _but_the_first_of_each(wait: Any, null: Any) -> Any:
    """The copy stream waits when it is created, and for no buffer after."""

    def wait_event(self: Any, event: Any) -> None:
        if self == null or not self.waited_for:
            wait(self, event)

    return wait_event


def test_a_chunk_that_is_on_its_way_keeps_its_memory(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an epoch is abandoned, or the next begins before anything was read, or the network is deleted."""
    monkeypatch.setattr(streaming, "CHUNK", 500)
    monkeypatch.setattr("dnnkit.backends.cupy_backend.executable.RESIDENT", 0.0)
    freed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: freed.append(str(found.exc_value)))
    net, loaded = ready(ADAM)
    for last in (9, 1, 9):
        net.executable.begin_epoch(loaded, np.arange(90), 10)
        steps(net, 0, last)
    del net, loaded
    gc.collect()
    assert counts.pinned
    assert not freed


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # about memory freed while it is read
@pytest.mark.parametrize("forgotten", ["full", "free", "read", None])
def test_a_wait_that_is_forgotten_is_noticed(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, forgotten: str | None
) -> None:
    """None of the waits for a chunk's buffers is needless: without each the results are wrong, or there are none."""
    x, labels = data()
    expected = ADAM.network("cupy", "float32").fit(x, labels, batch_size=10, verbose=0)["loss"]
    monkeypatch.setattr(streaming, "CHUNK", 500)
    monkeypatch.setattr("dnnkit.backends.cupy_backend.executable.RESIDENT", 0.0)
    stream, event = cupy.cuda.Stream, cupy.cuda.Event
    wait, null = stream.wait_event, stream.null
    if forgotten == "full":
        monkeypatch.setattr(stream, "wait_event", lambda self, given: None if self == null else wait(self, given))
    elif forgotten == "free":
        monkeypatch.setattr(stream, "wait_event", _but_the_first_of_each(wait, null))
    elif forgotten == "read":
        monkeypatch.setattr(event, "synchronize", lambda self: None)
    try:
        actual = ADAM.network("cupy", "float32").fit(x, labels, batch_size=10, verbose=0)["loss"]
    except (RuntimeError, AssertionError):
        actual = ["none"]
    assert (actual == expected) == (forgotten is None)


def test_data_are_not_held_twice_on_the_host(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnnkit.backends.cupy_backend.backend.STAGED", 1000)
    net, loaded = ready(ADAM)
    assert counts.waits == sum(size > 1000 for size in counts.uploads)  # until x may be changed
    assert 90 * 16 in counts.uploads
    assert max(counts.pinned) <= 1000
    np.testing.assert_array_equal(loaded.x.get(), data()[0].reshape(90, 16))
    foreign = np.arange(500, dtype=">f4")
    np.testing.assert_array_equal(net.backend.asarray(foreign, "float64").get(), foreign)


def test_arrays_on_a_gpu_are_used_in_place(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    there = cupy.asarray(x.astype(np.float32).reshape(90, 16)), cupy.asarray(labels)

    class Foreign:  # as of another library
        def __init__(self, array: Any, protocol: str) -> None:
            if protocol == "dlpack":
                self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__
            else:
                self.__cuda_array_interface__ = array.__cuda_array_interface__

    net.build(16)
    for protocol in ("own", "dlpack", "interface"):
        given = there if protocol == "own" else tuple(Foreign(array, protocol) for array in there)
        counts.reset()
        taken = [net.backend.as_input(array) for array in given]
        loaded = net.executable.load(*taken, None)
        assert loaded.x.data.ptr == there[0].data.ptr
        assert loaded.y.data.ptr == there[1].data.ptr
        assert not counts.uploads
    losses = [net.fit(*there, verbose=0)["loss"]]
    again = ADAM.network("cupy", "float32")
    again.build(16)
    losses.append(again.fit(x.astype(np.float32).reshape(90, 16), labels, verbose=0)["loss"])
    assert losses[0] == losses[1]


def test_rows_of_an_array_in_another_order_are_gathered_once(cupy: ModuleType) -> None:
    net = ADAM.network("cupy", "float32")
    net.build(16)
    x, labels = data()
    columns = cupy.asarray(np.ascontiguousarray(x.reshape(90, 16).astype(np.float32).T)).T
    loaded = net.executable.load(columns, cupy.asarray(labels), None)
    np.testing.assert_array_equal(loaded.x.get(), x.reshape(90, 16))
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 2)
    assert max(counts.allocations, default=0) <= 8


@pytest.mark.parametrize("dtype", ["float16", ">f4", "int8", "bool", "uint64"])
def test_numbers_of_any_kind_are_accepted(cupy: ModuleType, dtype: str) -> None:
    x, labels = data()
    x = (x > 8).astype(dtype)
    losses = []
    for backend in ("cupy", "numpy"):
        net = ADAM.network(backend, "float32")
        losses.append(net.fit(x, labels, verbose=0)["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_no_memory_is_one_error_with_the_sizes(cupy: ModuleType) -> None:
    x, labels = data()
    memory.limit = 1 << 20
    net = dk.Sequential([dk.Flatten(), dk.Dense(100_000), dk.Dense(10)], backend="cupy", seed=0)
    net.compile("adam", "mean_squared_error")
    with pytest.raises(DeviceMemoryError, match=r"GPU 0, Stand-in .* 10\.\d MiB needed at once, .* of 1 MiB free"):
        net.fit(x, np.eye(10)[labels], verbose=0)


def test_a_too_large_batch_is_that_error_and_a_smaller_one_trains(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    net.build(x.shape[1:])
    before = parameters(net)
    memory.limit = memory.used[0] + 40_000
    with pytest.raises(DeviceMemoryError, match="smaller batches"):
        net.fit(x, labels, batch_size=90, verbose=0)
    assert parameters(net) == before
    net.fit(x, labels, batch_size=5, verbose=0)
    assert parameters(net) != before


def test_data_that_was_trained_on_makes_room_for_other(cupy: ModuleType) -> None:
    net = ADAM.network("cupy", "float32")
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 17, (5000, 4, 4), dtype=np.uint8) for _ in range(2))
    labels = rng.integers(0, 10, 5000)
    memory.limit = 300_000
    for x in (first, second):
        assert "data" not in net.fit(x, labels, batch_size=100, verbose=0).plan.details


def test_memory_is_given_back(cupy: ModuleType) -> None:
    gc.collect()
    before = memory.used[0]
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 3)
    assert memory.used[0] > before + 10_000
    del net, loaded
    gc.collect()
    assert memory.used[0] - before < 15_000  # partial sums and cuBLAS's workspace of this thread
