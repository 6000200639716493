"""What the CuPy backend promises beyond what every backend does, on the stand-in: waiting, memory, streams, devices."""

import gc
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import get_backend, streamed_feed
from dnnkit.backends.cupy_backend import CupyBackend
from dnnkit.errors import BackendUnavailable, DeviceMemoryError
from tests.backends.networks import CASES, Case, data
from tests.cuda_on_cpu import cupy_stand_in
from tests.cuda_on_cpu.cupy_stand_in import counts, memory

pytestmark = pytest.mark.cuda_on_cpu
ADAM = CASES["relu sigmoid tanh, softmax, sparse, adam"]
DROPOUT = CASES["leaky_relu elu, dropout, softmax, categorical, rmsprop"]


@pytest.fixture
def cupy() -> Iterator[ModuleType]:
    with cupy_stand_in.in_place_of_cupy() as module:
        yield module


def ready(case: Case, backend: str = "cupy", weights: Any = None) -> tuple[dk.Sequential, Any]:
    x, labels = data()
    net = case.network(backend, "float32")
    net.build(x.shape[1:])
    return net, net.executable.load(x, case.targets(labels), weights)


def steps(net: dk.Sequential, first: int, last: int) -> None:
    net.executable.run_steps(first, last, net.optimizer.hyperparameters(net.executable.state.step, last - first))


def parameters(net: dk.Sequential) -> bytes:
    return b"".join(value.tobytes() for value in net.parameters.values())


@pytest.mark.parametrize("name", CASES)
def test_nothing_waits_for_the_gpu_within_an_epoch(cupy: ModuleType, name: str) -> None:
    net, loaded = ready(CASES[name], weights=np.linspace(0.5, 1.5, 90))
    for _ in range(2):
        counts.reset()
        net.executable.begin_epoch(loaded, np.arange(90), 10)
        steps(net, 0, 9)
        assert counts.waits == 0
        # The order, and what the sums begin with, go up once an epoch.
        assert sorted(counts.uploads)[-1] == 90 * 8
        assert sum(counts.uploads) < 90 * 8 + 100
    net.executable.totals()
    assert 0 < counts.waits < 10


@pytest.mark.parametrize("name", CASES)
def test_a_step_allocates_nothing_that_grows(cupy: ModuleType, name: str) -> None:
    """Single numbers are made in a step; nothing that holds a row, a unit or a parameter."""
    net, loaded = ready(CASES[name], weights=np.ones(90))
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 3)
    assert counts.allocations
    assert max(counts.allocations) <= 8


def test_a_step_is_our_kernels(cupy: ModuleType) -> None:
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 2)
    assert counts.launches == {
        "gather_uint8": 1,
        "dense_forward": 4,
        "loss_of_labels": 1,
        "categorical_of_labels": 1,
        "dense_backward": 4,
        "adam": 1,
    }
    assert counts.functions["matmul"] == 4 + 4 + 3  # the first layer's dx is not wanted
    assert not set(counts.functions) - {"matmul", "reshape", "empty", "take", "where"}


def test_the_plan_says_what_runs(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    plan = net.fit(x, labels, verbose=0).plan
    assert (plan.backend, plan.execution, plan.reason) == ("cupy", "CUDA kernels, stage by stage", None)
    assert plan.device == "GPU 0, Stand-in"


# -- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_data_larger_than_memory_are_sent_in_chunks_and_give_the_same_bits(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, weighted: bool, dtype: Any
) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 17, (3001, 4, 4), dtype=np.uint8).astype(dtype)
    labels = x.reshape(3001, -1)[:, :10].argmax(axis=1)
    weights = rng.uniform(0.5, 1.5, 3001) if weighted else None
    results = []
    for room in (8 << 30, 180_000):
        memory.limit = room
        net = DROPOUT.network("cupy", "float32")
        y = DROPOUT.targets(labels)
        monkeypatch.setattr(streamed_feed, "CHUNK", 20_000)
        history = net.fit(x, y, batch_size=50, epochs=2, sample_weight=weights, verbose=0)
        streamed = "data" in history.plan.details
        assert streamed == (room == 180_000)
        scores = net.predict(x, batch_size=100)
        results.append((history["loss"], parameters(net), scores.tobytes(), net.evaluate(x, y, batch_size=100)))
        del net
        gc.collect()
    assert results[0] == results[1]


def test_a_chunk_is_sent_while_the_one_before_is_computed(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies' stream waits until a buffer is free, the computing stream until it is full; nobody else waits."""
    monkeypatch.setattr(streamed_feed, "CHUNK", 500)
    net, _ = ready(ADAM)
    x, labels = data()
    memory.limit = memory.used[0] + 30_000
    monkeypatch.setattr("dnnkit.backends.cupy_executable.RESIDENT", 0.0)
    executable = net.executable
    executable.begin_epoch(executable.load(x, labels, None), np.arange(90), 10)
    counts.reset()
    steps(net, 0, 1)
    assert len(counts.uploads) == 4  # inputs and labels of two chunks
    steps(net, 1, 2)
    assert len(counts.uploads) == 4
    waited, copies = len(cupy.cuda.Stream.null.waited_for), executable._copies
    free = len(copies.waited_for)
    steps(net, 2, 9)
    assert len(counts.uploads) == 2 * 5
    assert len(cupy.cuda.Stream.null.waited_for) == waited + 4
    assert len(copies.waited_for) == free + 3


def _but_the_first_of_each(wait: Any, null: Any) -> Any:
    """The copies' stream waits when it is made, and for no buffer after."""

    def wait_event(self: Any, event: Any) -> None:
        if self == null or not self.waited_for:
            wait(self, event)

    return wait_event


def test_a_chunk_that_is_on_its_way_keeps_its_memory(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an epoch is given up, or the next begins before anything was read, or the network goes."""
    monkeypatch.setattr(streamed_feed, "CHUNK", 500)
    monkeypatch.setattr("dnnkit.backends.cupy_executable.RESIDENT", 0.0)
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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of memory that goes while it is read
@pytest.mark.parametrize("forgotten", ["full", "free", "read", None])
def test_a_wait_that_is_forgotten_is_noticed(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, forgotten: str | None
) -> None:
    """Of the waits for a chunk's buffers, none is needless: without each the results are wrong, or there are none."""
    x, labels = data()
    expected = ADAM.network("cupy", "float32").fit(x, labels, batch_size=10, verbose=0)["loss"]
    monkeypatch.setattr(streamed_feed, "CHUNK", 500)
    monkeypatch.setattr("dnnkit.backends.cupy_executable.RESIDENT", 0.0)
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
    monkeypatch.setattr("dnnkit.backends.cupy_backend.STAGED", 1000)
    net, loaded = ready(ADAM)
    assert counts.waits == sum(size > 1000 for size in counts.uploads)  # until x may be changed
    assert 90 * 16 in counts.uploads
    assert max(counts.pinned) <= 1000
    np.testing.assert_array_equal(loaded.x.get(), data()[0].reshape(90, 16))
    foreign = np.arange(500, dtype=">f4")
    np.testing.assert_array_equal(net.backend.asarray(foreign, "float64").get(), foreign)


def test_arrays_of_a_gpu_are_taken_where_they_are(cupy: ModuleType) -> None:
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
        taken = [net.backend.adopt(array) for array in given]
        loaded = net.executable.load(*taken, None)
        assert loaded.x.data.ptr == there[0].data.ptr
        assert loaded.y.data.ptr == there[1].data.ptr
        assert not counts.uploads
    losses = [net.fit(*there, verbose=0)["loss"]]
    again = ADAM.network("cupy", "float32")
    again.build(16)
    losses.append(again.fit(x.astype(np.float32).reshape(90, 16), labels, verbose=0)["loss"])
    assert losses[0] == losses[1]


def test_rows_of_an_array_in_another_order_are_brought_together_once(cupy: ModuleType) -> None:
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
    assert max(counts.allocations) <= 8


@pytest.mark.parametrize("dtype", ["float16", ">f4", "int8", "bool", "uint64"])
def test_numbers_of_any_kind_are_taken(cupy: ModuleType, dtype: str) -> None:
    x, labels = data()
    x = (x > 8).astype(dtype)
    losses = []
    for backend in ("cupy", "numpy"):
        net = ADAM.network(backend, "float32")
        losses.append(net.fit(x, labels, verbose=0)["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


# -- memory ----------------------------------------------------------------------------------------------------------


def test_no_memory_is_one_error_with_the_sizes(cupy: ModuleType) -> None:
    x, labels = data()
    memory.limit = 1 << 20
    net = dk.Sequential([dk.Flatten(), dk.Dense(100_000), dk.Dense(10)], backend="cupy", seed=0)
    net.compile("adam", "mean_squared_error")
    with pytest.raises(DeviceMemoryError, match=r"GPU 0, Stand-in .* 10\.\d MiB wanted at once, .* of 1 MiB free"):
        net.fit(x, np.eye(10)[labels], verbose=0)


def test_a_batch_too_large_is_that_error_and_a_smaller_one_trains_on(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    net.build(x.shape[1:])
    before = parameters(net)
    memory.limit = memory.used[0] + 40_000
    with pytest.raises(DeviceMemoryError, match="Smaller batches"):
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
    assert "data" not in net.fit(first, labels, verbose=0).plan.details
    assert "data" not in net.fit(second, labels, verbose=0).plan.details


def test_memory_is_given_back(cupy: ModuleType) -> None:
    gc.collect()
    before = memory.used[0]
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 3)
    assert memory.used[0] > before + 10_000
    del net, loaded
    gc.collect()
    assert memory.used[0] - before < 10_000  # partial sums of this thread


# -- devices and streams ---------------------------------------------------------------------------------------------


def test_the_second_gpu_does_all_the_work(cupy: ModuleType) -> None:
    x, labels = data()
    results = []
    for name in ("cupy:1", "cupy"):
        memory.peak.clear()
        net = DROPOUT.network(name, "float32")
        net.fit(x, DROPOUT.targets(labels), epochs=2, verbose=0)
        net.evaluate(x, DROPOUT.targets(labels))
        results.append((parameters(net), net.predict(x).tobytes()))
        used, idle = (1, 0) if name == "cupy:1" else (0, 1)
        assert memory.peak[used] > 10_000
        assert memory.peak[idle] == 0
        assert net.history.plan.device == f"GPU {used}, Stand-in"
        assert cupy.cuda.runtime.getDevice() == 0  # as it was
    assert results[0] == results[1]


def test_the_gpu_is_left_as_it_was_found_after_an_error(cupy: ModuleType) -> None:
    net, loaded = ready(ADAM, "cupy:1")
    memory.limit = memory.used[1]
    with pytest.raises(DeviceMemoryError):
        net.executable.predict(loaded, 10)
    assert cupy.cuda.runtime.getDevice() == 0
    memory.limit = 8 << 30
    backend = net.backend
    assert backend.buffer((3,), "float32").device.id == 1
    with backend.inside():  # type: ignore[attr-defined]
        assert cupy.cuda.runtime.getDevice() == 1
        assert backend.buffer((3,), "float32").device.id == 1
    assert cupy.cuda.runtime.getDevice() == 0


def test_functions_on_arrays_are_computed_on_the_backends_gpu(cupy: ModuleType) -> None:
    results = []
    for name in ("cupy:1", "numpy"):
        with dk.use_backend(name) as backend:
            values = [
                dk.ops.gelu_grad([0.5, -1.0]),
                dk.ops.softmax([[1.0, 2.0], [3.0, 5.0]], axis=0),
                dk.ops.mean_squared_error([1.0, 2.0], [3.0, 5.0]),
                dk.ops.binary_cross_entropy_loss_backward([[1.0]], [[0.25]]),
                dk.ops.categorical_accuracy([1, 0], [[0.1, 0.9], [0.3, 0.7]]),
            ]
            results.append([np.asarray(backend.to_numpy(value)) for value in values])
            if name == "cupy:1":
                assert {array.device.id for array in values[:4]} == {1}
    for there, here in zip(*results, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-14)


def test_an_array_of_the_other_gpu_is_copied_over(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy:1", "float32")
    losses = [net.fit(cupy.asarray(x), cupy.asarray(labels), verbose=0)["loss"]]
    losses.append(ADAM.network("cupy", "float32").fit(x, labels, verbose=0)["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize("name", ["cupy:2", "cupy:-1", "cupy:first"])
def test_a_gpu_that_is_not_there_is_an_error_that_names_those_that_are(cupy: ModuleType, name: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"there is no GPU .* choose one of cupy:0, cupy:1"):
        get_backend(name)


def test_work_is_done_in_the_users_stream_after_what_was_done_before(cupy: ModuleType) -> None:
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    first, second = cupy.cuda.Stream(), cupy.cuda.Stream()
    with first:
        steps(net, 0, 1)
        steps(net, 1, 2)
    assert len(first.waited_for) == 1
    with second:
        steps(net, 2, 3)
    assert len(second.waited_for) == 1
    assert net.executable.totals().nan_step == -1
    assert len(cupy.cuda.Stream.null.waited_for) >= 1


def test_partial_sums_are_of_one_stream_and_thread(cupy: ModuleType) -> None:
    import threading

    backend = get_backend("cupy")
    assert isinstance(backend, CupyBackend)
    here = backend._scratch(100, np.float64)
    assert backend._scratch(50, np.float64).data.ptr == here.data.ptr
    there = []
    thread = threading.Thread(target=lambda: there.append(backend._scratch(100, np.float64)))
    thread.start()
    thread.join()
    with cupy.cuda.Stream():
        there.append(backend._scratch(100, np.float64))
    assert len({here.data.ptr, *(array.data.ptr for array in there)}) == 3


# -- choice ----------------------------------------------------------------------------------------------------------


def test_auto_takes_a_gpu_that_answers(cupy: ModuleType) -> None:
    assert get_backend("auto").name == "cupy"
    info = {info.name: info for info in dk.backends.available()}["cupy"]
    assert info.available
    assert info.device == "GPU 0, Stand-in"


def test_the_doctor_tells_versions_and_memory(cupy: ModuleType) -> None:
    from dnnkit import doctor

    found = {finding.subject: finding for finding in doctor.examine()}
    assert found["backend cupy"].state == "good"
    assert "13.0" in found["CUDA"].message
    assert "of 8 GiB free" in found["GPU memory"].message
    assert "no NVIDIA driver" not in found["GPU"].message  # also where nvidia-smi is not, as in some containers


def test_a_layer_of_ones_own_runs_on_the_gpu_and_history_says_so(cupy: ModuleType) -> None:
    class Doubled(dk.Layer):
        def forward(self, xp: Any, x: Any) -> tuple[Any, Any]:
            assert isinstance(x, xp.ndarray)
            return 2 * x, None

        def backward(self, xp: Any, dy: Any, saved: Any) -> tuple[Any, ...]:
            return (2 * dy,)

    x, labels = data()
    losses = []
    for backend in ("cupy", "numpy"):
        net = dk.Sequential([dk.Flatten(), Doubled(), dk.Dense(10, activation="softmax")], seed=1, backend=backend)
        net.compile("sgd", "sparse_categorical_crossentropy")
        history = net.fit(x / 16, labels, verbose=0)
        losses.append(history["loss"][0])
        assert "Doubled" in str(history.plan.reason)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
