"""What the CuPy backend promises beyond what every backend does, on the stand-in: waiting, streams, devices."""

import pickle
from contextlib import nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import get_backend
from dnnkit.backends.cupy_backend.backend import CupyBackend
from dnnkit.backends.cupy_backend.executable import CupyExecutable
from dnnkit.errors import BackendUnavailable, DeviceMemoryError
from dnnkit.testing import frozen
from tests.backends.networks import CASES, data
from tests.cuda_on_cpu.cupy_networks import ADAM, DROPOUT, parameters, ready, steps
from tests.cuda_on_cpu.cupy_stand_in import counts, memory
from tests.dnnkit.distributed.test_ranks import check_parts

pytestmark = pytest.mark.cuda_on_cpu


@pytest.mark.parametrize("name", CASES)
def test_nothing_waits_for_the_gpu_within_an_epoch(cupy: ModuleType, name: str) -> None:
    net, loaded = ready(CASES[name], weights=np.linspace(0.5, 1.5, 90))
    for _ in range(2):
        counts.reset()
        net.executable.begin_epoch(loaded, np.arange(90), 10)
        steps(net, 0, 9)
        assert counts.waits == 0
        # The order, the initial sums, and up to four numbers per step are uploaded once per epoch.
        assert sorted(counts.uploads)[-1] == 90 * 8
        assert sum(counts.uploads) <= 90 * 8 + 100 + 9 * 4 * 4
    net.executable.totals()
    assert 0 < counts.waits < 10


@pytest.mark.parametrize("name", CASES)
def test_a_step_allocates_nothing_that_grows(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Not even where it is not recorded: nothing that holds a row, a unit or a parameter."""
    monkeypatch.setattr(CupyExecutable, "records", False)
    net, loaded = ready(CASES[name], weights=np.ones(90))
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 3)
    assert max(counts.allocations, default=0) <= 8


@pytest.mark.parametrize("records", [True, False])
def test_a_step_is_our_kernels(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, records: bool) -> None:
    monkeypatch.setattr(CupyExecutable, "records", records)
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 2)
    assert counts.launches == {
        "gather_batch": 1,
        "dense_forward": 4,
        "loss_of_labels": 1,
        "dense_backward": 4,
        "adam": 1,
    }
    assert counts.products == 4 + 4 + 3  # the first layer's dx is not needed
    assert not set(counts.functions) - {"reshape"}


def test_nothing_is_launched_for_frozen_layers(cupy: ModuleType) -> None:
    """Of four dense layers the second and the fourth are trained; the frozen one between them passes a dx on."""
    net, loaded = ready(ADAM)
    net.freeze("dense", "dense_2")
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    counts.reset()
    steps(net, 1, 2)
    names = "dense_forward", "dense_backward", "sum_columns", "adam"
    assert [counts.launches[name] for name in names] == [4, 3, 0, 1]
    assert counts.products == 4 + 2 + 2


def test_frozen_layers_do_not_change_on_the_gpu(cupy: ModuleType) -> None:
    for what, ask in frozen.trainings(get_backend("cupy")):
        if "dense, dense_2" in what:
            ask()


def test_the_plan_says_what_runs(cupy: ModuleType) -> None:
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    plan = net.fit(x, labels, verbose=0).plan
    assert (plan.backend, plan.execution, plan.reason) == ("cupy", "CUDA kernels, stage by stage", None)
    assert plan.device == "GPU 0, Stand-in"


def test_parameters_and_external_gradients_go_where_they_belong(cupy: ModuleType) -> None:
    found = []
    for backend in ("cupy", "numpy"):
        net, rng = ADAM.network(backend, "float32"), np.random.default_rng(1)
        net.build(data()[0].shape[1:])
        shapes = {each.name: each.shape for each in net.executable.program.parameters}
        for name, shape in shapes.items():
            net.executable.write_parameter(name, rng.normal(size=shape).astype(np.float32))
        gradients = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        net.executable.update(gradients, net.optimizer.hyperparameters(0, 1))
        found.append([net.executable.read_parameter(name) for name in shapes])
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=1e-5)


def test_external_steps_use_the_networks_own_numbers(cupy: ModuleType) -> None:
    """Whatever was recorded before, in any stream; restored numbers are at other addresses."""
    x, labels = data()
    y, found = ADAM.targets(labels), []
    gradient = np.random.default_rng(2).normal(size=(30, 10)).astype(np.float32)
    for backend in ("cupy", "numpy"):
        net = ADAM.network(backend, "float32")
        net.fit(x, y, batch_size=30, verbose=0)
        target = net.copy()
        for number in range(4):
            with cupy.cuda.Stream() if number == 2 and backend == "cupy" else nullcontext():
                net.step(x[:30], logits_gradient=gradient)
            net.fit(x, y, batch_size=30, verbose=0)
            target.follow(net, 0.25)
            if number == 1:
                net.executable.restore(net.executable.snapshot())
        found.append([*net.parameters.values(), *target.parameters.values()])
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=2e-4, atol=1e-6)


def test_updates_of_several_batches_are_those_of_numpy(cupy: ModuleType) -> None:
    x, labels = data()
    y, found = ADAM.targets(labels), []
    for backend in ("cupy", "numpy"):
        net = ADAM.network(backend, "float32")
        net.compile(dk.AdamW(0.01, use_ema=True, global_clipnorm=0.5), net.loss, gradient_accumulation_steps=4)
        net.fit(x, y, batch_size=15, epochs=2, shuffle=False, verbose=0)
        net.apply_gradients(net.get_gradients(x[:15], y[:15])[1])
        snapshot = net.executable.snapshot()
        assert snapshot.state.step == 13
        found.append([*snapshot.parameters.values(), *snapshot.slots.values()])
    for there, here in zip(*found, strict=True):
        np.testing.assert_allclose(there, here, rtol=2e-4, atol=1e-6)


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


@pytest.mark.parametrize("name", ["cupy:1", "cupy"])
def test_an_epoch_resumes_and_a_step_is_inspected_on_any_gpu(cupy: ModuleType, name: str) -> None:
    x, labels = data()
    net, whole = ADAM.network(name, "float32"), ADAM.network(name, "float32")
    for steps_now in (2, 7):
        history = net.fit(x, labels, steps=steps_now, batch_size=10, verbose=0)
    assert history["loss"] == whole.fit(x, labels, batch_size=10, verbose=0)["loss"]
    assert "update" in str(net.inspect(x, labels, batch_size=30))


def test_the_gpu_is_left_as_it_was_found_after_an_error(cupy: ModuleType) -> None:
    net, loaded = ready(ADAM, "cupy:1")
    memory.limit = memory.used[1]
    with pytest.raises(DeviceMemoryError):
        net.executable.predict(loaded, 10)
    assert cupy.cuda.runtime.getDevice() == 0
    memory.limit = 8 << 30
    backend = net.backend
    assert backend.buffer((3,), "float32").device.id == 1
    with backend.stay_on_device():  # type: ignore[attr-defined]
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
def test_a_missing_gpu_is_an_error_that_names_those_that_exist(cupy: ModuleType, name: str) -> None:
    with pytest.raises(BackendUnavailable, match=r"there is no GPU .* choose one of cupy:0, cupy:1"):
        get_backend(name)


def test_work_runs_in_the_users_stream_in_its_order(cupy: ModuleType) -> None:
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


def test_a_working_gpu_is_listed_and_auto_uses_none_for_arrays(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert get_backend("auto").name == "numba"
    info = {info.name: info for info in dk.backends.available()}["cupy"]
    assert info.available
    assert info.device == "GPU 0, Stand-in"
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert get_backend("auto").name == "numpy"


def test_a_pickled_network_knows_its_gpu(cupy: ModuleType) -> None:
    net = dk.Sequential([dk.Dense(2)], backend="cupy:1", seed=0)
    net.build(3)
    twin = pickle.loads(pickle.dumps(net))
    assert twin.backend is net.backend is get_backend("cupy:1")
    assert twin.executable.program == net.executable.program


def test_the_doctor_reports_versions_and_memory(cupy: ModuleType) -> None:
    from dnnkit import doctor

    found = {finding.subject: finding for finding in doctor.examine()}
    assert found["backend cupy"].state == "good"
    assert "13.0" in found["CUDA"].message
    assert "of 8 GiB free" in found["GPU memory"].message
    assert "no NVIDIA driver" not in found["GPU"].message  # also where nvidia-smi is missing, as in some containers


def test_a_custom_layer_runs_on_the_gpu_and_history_says_so(cupy: ModuleType) -> None:
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


def test_batches_that_callbacks_hear_add_up(cupy: ModuleType) -> None:
    x, labels = data()
    net, heard = ADAM.network("cupy", "float32"), []
    callback = dk.LambdaCallback(
        on_test_batch_end=lambda batch, logs: heard.append(logs["loss"]),
        on_predict_batch_end=lambda batch, logs: heard.append(logs["outputs"]),
    )
    result = net.evaluate(x, labels, batch_size=32, callbacks=callback)
    first = net.evaluate(x[:32], labels[:32])
    assert (len(heard), heard[-1]) == (3, result["loss"])
    assert heard[0] == pytest.approx(first["loss"], rel=1e-6)
    heard.clear()
    found = net.predict(x, batch_size=32, callbacks=callback)
    np.testing.assert_array_equal(found, net.predict(x, batch_size=32))
    np.testing.assert_array_equal(found, np.concatenate(heard))


@pytest.mark.parametrize("resident", [1.0, 0.0], ids=["uploaded once", "sent in chunks"])
def test_targets_of_any_shape_and_of_any_form(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, resident: float
) -> None:
    monkeypatch.setattr("dnnkit.backends.cupy_backend.executable.RESIDENT", resident)
    x, labels = data()
    actions = np.stack([labels, np.linspace(-1, 1, len(x))], axis=1)

    @dataclass(frozen=True)
    class Chosen(dk.losses.Loss):
        targets = "any"

        def loss_and_gradient(self, predictions: Any, targets: Any, weights: Any, scale: float, xp: Any) -> Any:
            classes = xp.arange(predictions.shape[1], dtype=predictions.dtype)[None, :]
            chosen = xp.astype(classes == targets[:, :1], predictions.dtype) * targets[:, 1:]
            return -xp.sum(chosen * xp.log(predictions)), -chosen / predictions * scale

    found = []
    for backend in ("cupy", "numpy"):
        net = dk.Sequential(
            [dk.Flatten(), dk.Dense(10, activation="softmax")], seed=1, backend=backend, dtype="float64"
        )
        net.compile("sgd", Chosen())
        own = net.fit(x / 16, actions, epochs=2, batch_size=16, validation_data=(x / 16, actions), verbose=0)
        net.compile("sgd", "sparse_categorical_crossentropy")
        column = net.fit(x / 16, labels[:, None] * 1.0, batch_size=16, verbose=0)
        found.append([*own["loss"], *own["val_loss"], *column["loss"]])
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_parts_of_a_batch_add_up_to_the_step_of_the_whole(cupy: ModuleType) -> None:
    check_parts(get_backend("cupy"))
