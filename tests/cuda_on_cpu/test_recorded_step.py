"""Recorded and replayed steps, and graphs of them: the same bits as launch by launch."""

import contextlib
import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from benchmarks import host_time
from dnnkit.backends import get_backend
from dnnkit.backends.cupy_backend import executable as cupy_executable
from dnnkit.backends.cupy_backend import recorded_step, streaming
from dnnkit.backends.cupy_backend.executable import CupyExecutable
from dnnkit.kernels._cuda import products
from tests.backends.networks import CASES, Case, data
from tests.cuda_on_cpu.cupy_networks import ADAM, DROPOUT, parameters, ready, steps
from tests.cuda_on_cpu.cupy_stand_in import counts, cublas, memory

pytestmark = pytest.mark.cuda_on_cpu

ROWS, BATCH = 46, 11
"""Four steps, and one of two rows."""

WAYS = {"launch by launch": (False, False), "recorded": (True, False), "graphs": (True, True)}
"""How steps run: whether they are recorded, and whether graphs are made."""


@pytest.fixture(autouse=True)
def _early_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Graphs of two steps, from the second on: a real one is made after about a hundred steps."""
    monkeypatch.setattr(recorded_step, "STEPS", 2)
    monkeypatch.setattr(recorded_step, "WORTH", 1)


@contextlib.contextmanager
def way(name: str):
    with pytest.MonkeyPatch.context() as patch:
        for attribute, value in zip(("records", "makes_graphs"), WAYS[name], strict=True):
            patch.setattr(CupyExecutable, attribute, value)
        yield


def trained(case: Case, how: str, backend: str = "cupy", **options: Any) -> tuple[Any, ...]:
    """Train in that way; return the results in bits, and the details of the plan."""
    x, labels = data(ROWS)
    with way(how):
        net = case.network(backend, "float32")
        weights = np.linspace(0.5, 1.5, ROWS)
        given = {"epochs": 2, "batch_size": BATCH, "sample_weight": weights, "verbose": 0, **options}
        history = net.fit(x, case.targets(labels), **given)
        measured = dict(net.evaluate(x, case.targets(labels)))
    return parameters(net), history["loss"], history["accuracy"], measured, net.history.plan.details


OPTIMIZERS = {
    "groups and running means": dk.AdamW(
        dk.schedules.CosineDecay(0.01, 20),
        weight_decay=0.1,
        no_decay="bias",
        groups={"dense_1": {"learning_rate": 0.02, "beta_1": 0.8}, "dense_2/*": {"learning_rate_factor": 2}},
        use_ema=True,
        ema_momentum=0.8,
    ),
    "each gradient's norm, and amsgrad": dk.Adam(0.01, amsgrad=True, clipnorm=0.1),
    "each element's size, and Adamax": dk.optimizers.Adamax(0.01, weight_decay=0.1, clipvalue=0.01),
    "decay that varies": dk.AdamW(0.01, weight_decay=dk.schedules.FlatCosine(0.5, 8), no_decay="bias"),
    "momenta that vary": dk.optimizers.Nadam(0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_more_than_a_rate(cupy: ModuleType, name: str) -> None:
    case = replace(ADAM, optimizer=OPTIMIZERS[name])
    results = [trained(case, how) for how in WAYS]
    assert results[0][:-1] == results[1][:-1] == results[2][:-1]
    assert ("step" in results[2][-1]) == (not name.endswith(("varies", "vary")))
    found = trained(case, "graphs", backend="numpy")
    np.testing.assert_allclose(*(np.frombuffer(each[0], np.float32) for each in (results[0], found)), atol=2e-5)
    np.testing.assert_allclose(list(results[0][3].values()), list(found[3].values()), rtol=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_bits_are_the_same_launched_recorded_and_as_graphs(cupy: ModuleType, name: str) -> None:
    """Dropout, clipping, schedules, row weights, metrics inside and outside the loss's launch, and a shorter last
    batch."""
    results = {}
    for how in (*WAYS, "graphs"):
        counts.reset()
        *bits, details = trained(CASES[name], how)
        results.setdefault("all", bits)
        assert bits == results["all"], how
        assert (counts.prepared > 0, bool(counts.graphs)) == WAYS[how]
        assert ("step" in details) == (how != "launch by launch")
    assert "2 steps per CUDA graph" in details["step"]
    found = trained(CASES[name], "graphs", backend="numpy")
    np.testing.assert_allclose(results["all"][1], found[1], rtol=1e-3)
    np.testing.assert_allclose(results["all"][2], found[2], rtol=1e-6)


def test_a_step_of_784_128_10_is_twelve_launches(cupy: ModuleType) -> None:
    """Seven kernels of dnnkit and five products; it was 19 launches."""
    net = dk.Sequential([dk.Rescaling(1 / 255), dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")])
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    net = net.to("cupy")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (128, 784), dtype=np.uint8), rng.integers(0, 10, 128)
    net.build(784)
    loaded = net.executable.load(x, y, None)
    net.executable.begin_epoch(loaded, np.arange(128), 32)
    with way("recorded"):
        steps(net, 0, 2)
        counts.reset()
        steps(net, 2, 4)
    one_step = {"gather_batch": 1, "dense_forward": 2, "loss_of_labels": 1, "dense_backward": 2, "adam": 1}
    assert counts.launches == {name: 2 * number for name, number in one_step.items()}
    assert counts.products == 2 * 5
    assert sum(one_step.values()) + 5 == 12
    assert net.executable.plan.details["step"].startswith("recorded, 7 launches and 5 products")


@pytest.mark.parametrize("name", CASES)
def test_a_step_that_is_launched_again_does_nothing_else(cupy: ModuleType, name: str) -> None:
    """No CuPy function, no allocation, no wait; the numbers of the steps are uploaded once per call."""
    net, loaded = ready(CASES[name], weights=np.ones(90))
    net.executable.begin_epoch(loaded, np.arange(90), BATCH)
    steps(net, 0, 2)
    counts.reset()
    steps(net, 2, 8)
    assert not counts.functions
    assert not counts.allocations
    assert counts.graphs
    assert len(counts.uploads) == 1
    assert counts.waits <= len(counts.graphs)  # until the GPU has started one of the queued graphs


def test_the_host_is_two_graphs_ahead_at_most(cupy: ModuleType) -> None:
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 3)
    steps(net, 0, 3)
    counts.reset()
    steps(net, 3, 19)
    assert len(counts.graphs) == 8
    assert counts.waits == 6


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("stop_at", [2, 3, 6])
def test_an_epoch_stopped_in_between_resumes_with_the_same_bits(cupy: ModuleType, how: str, stop_at: int) -> None:
    with way(how):
        whole, loaded = ready(DROPOUT)
        whole.executable.begin_epoch(loaded, np.arange(90), BATCH)
        steps(whole, 0, 9)
        net, loaded = ready(DROPOUT)
        executable = net.executable
        executable.begin_epoch(loaded, np.arange(90), BATCH)

        def stop(*arguments: Any) -> None:
            """As a signal handler would, while a step is launched."""
            if counts.products >= 11 * stop_at:
                executable.request_stop()
            launch(*arguments)

        launch = cupy.cuda.driver.launchKernel
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cupy.cuda.driver, "launchKernel", stop)
            counts.reset()
            last = 0
            while last < 9:
                last = executable.run_steps(last, 9, net.optimizer.hyperparameters(executable.state.step, 9 - last))
                counts.reset()
                assert executable.state.step == last
    assert parameters(net) == parameters(whole)
    assert executable.totals() == whole.executable.totals()


def test_steps_in_other_streams_are_recorded_again(cupy: ModuleType) -> None:
    expected, loaded = ready(ADAM)
    expected.executable.begin_epoch(loaded, np.arange(90), BATCH)
    steps(expected, 0, 9)
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), BATCH)
    streams = [cupy.cuda.Stream(), cupy.cuda.Stream(), cupy.cuda.Stream.null]
    for step in range(0, 8, 2):
        with streams[step // 2 % 3]:
            steps(net, step, step + 2)
    steps(net, 8, 9)
    assert parameters(net) == parameters(expected)
    assert net.executable.totals() == expected.executable.totals()


def test_the_second_gpu_records_and_captures_as_the_first(cupy: ModuleType) -> None:
    found = [trained(DROPOUT, "graphs", backend=name)[:4] for name in ("cupy", "cupy:1")]
    assert found[0] == found[1]


@pytest.mark.parametrize("broken", ["begin_capture", "end_capture", "launchKernel", "gemm"])
def test_a_failed_capture_is_reported_and_steps_launch_one_by_one(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    expected = trained(ADAM, "recorded")

    def fails(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    stream, launch = cupy.cuda.Stream, cupy.cuda.driver.launchKernel
    end = stream.end_capture
    if broken == "launchKernel":
        monkeypatch.setattr(
            cupy.cuda.driver,
            "launchKernel",
            lambda *given: fails() if given[8] != cupy.cuda.get_current_stream().ptr else launch(*given),
        )
    elif broken == "gemm":
        monkeypatch.setattr(cublas, "status_while_capturing", 14)
    elif broken == "end_capture":
        monkeypatch.setattr(stream, "end_capture", lambda self: fails(end(self)))
    else:
        monkeypatch.setattr(stream, broken, fails)
    found = trained(ADAM, "graphs")
    assert found[:4] == expected[:4]
    assert "; no CUDA graph: " in found[4]["step"]
    assert "\n" not in found[4]["step"]
    assert ("CUBLASError" if broken == "gemm" else "operation not permitted when") in found[4]["step"]
    assert not counts.graphs


def test_a_failed_capture_leaves_products_where_they_were(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(cublas.handles)
    monkeypatch.setattr(cublas, "status_while_capturing", 14)
    trained(ADAM, "graphs")
    made = [handle for number, handle in cublas.handles.items() if number not in before]
    assert {handle.stream for handle in made} == {0}
    assert all(handle.workspace for handle in made)


@pytest.mark.parametrize("how", WAYS)
def test_data_that_is_sent_in_chunks_gives_the_same_bits(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    expected = trained(DROPOUT, "launch by launch")
    monkeypatch.setattr(cupy_executable, "RESIDENT", 0.0)
    monkeypatch.setattr(streaming, "CHUNK", 3 * BATCH * (16 + 10 * 4 + 4))
    *found, details = trained(DROPOUT, how)
    assert details["data"] == "larger than memory: sent in chunks"
    assert found == list(expected[:4])


def test_a_recording_is_dropped_with_its_data(cupy: ModuleType) -> None:
    """Otherwise a network would keep all data alive that it was ever trained on."""
    x, labels = data()
    net = ADAM.network("cupy", "float32")
    used = []
    for _ in range(4):
        net.fit(x.copy(), labels, batch_size=BATCH, verbose=0)
        used.append(memory.used[0])
    assert used[1] == used[-1]


def test_a_network_trains_with_numbers_assigned_after_recording(cupy: ModuleType) -> None:
    x, labels = data(ROWS)
    results = []
    for how in WAYS:
        with way(how):
            net = ADAM.network("cupy", "float32")
            net.fit(x, labels, batch_size=BATCH, verbose=0)
            name = next(iter(net.parameters))
            net.parameters[name] = np.full_like(net.parameters[name], 0.01)
            net.fit(x, labels, batch_size=BATCH, epochs=2, verbose=0)
            results.append(parameters(net))
    assert len(set(results)) == 1


def test_a_repeated_single_step_is_recorded(cupy: ModuleType) -> None:
    """A user's loop has other data in each step, and a fit has its last batch once per epoch."""
    net, loaded = ready(ADAM)
    launched = []
    for _ in range(4):
        net.executable.begin_epoch(loaded, np.arange(90), 90)
        counts.reset()
        steps(net, 0, 1)
        assert counts.prepared in (0, sum(counts.launches.values()))
        launched.append((counts.prepared > 0, bool(counts.functions)))
    assert launched == [(False, True), (True, True), (True, False), (True, False)]


def test_an_error_within_a_step_keeps_earlier_steps(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failed step is repeated with its number sent to the GPU again."""
    whole, loaded = ready(DROPOUT)
    whole.executable.begin_epoch(loaded, np.arange(90), BATCH)
    steps(whole, 0, 8)
    net, loaded = ready(DROPOUT)
    executable = net.executable
    executable.begin_epoch(loaded, np.arange(90), BATCH)
    launch, left = cupy.cuda.driver.launchKernel, [50]

    def breaks(*arguments: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        launch(*arguments)

    with way("recorded"), monkeypatch.context() as patch:
        patch.setattr(cupy.cuda.driver, "launchKernel", breaks)
        with pytest.raises(KeyboardInterrupt):
            steps(net, 0, 8)
    reached = executable.state.step
    assert 0 < reached < 8
    assert executable.epoch.timeline._clock_set_to is None
    steps(net, reached, 8)
    assert executable.state.step == 8
    assert executable.epoch.timeline.clock.get()[:3].tolist() == [8, 7, 0]


def test_the_hosts_time_is_measured_without_launches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The steps cannot run on a GPU here: only the host's time per step is measured."""
    monkeypatch.setattr(recorded_step, "STEPS", 32)
    monkeypatch.setattr(host_time, "NETWORKS", {"small": (20, 16, 10)})
    host_time.main(["--steps", "100", "--rounds", "1"])
    found = capsys.readouterr().out
    assert all(float(number) > 0 for number in re.findall(r" (?:recorded|graphs|launch by launch) ([\d.]+)", found))
    assert len(re.findall(r"[\d.]+", found.splitlines()[1])) == 3


def test_two_networks_in_turns_do_not_disturb_each_other(cupy: ModuleType) -> None:
    alone = [trained(case, "graphs")[0] for case in (ADAM, DROPOUT)]
    x, labels = data(ROWS)
    pair = [case.network("cupy", "float32") for case in (ADAM, DROPOUT)]
    for _ in range(2):
        for net, case in zip(pair, (ADAM, DROPOUT), strict=True):
            weights = np.linspace(0.5, 1.5, ROWS)
            net.fit(x, case.targets(labels), batch_size=BATCH, sample_weight=weights, verbose=0)
    assert [parameters(net) for net in pair] == alone


def test_a_custom_layer_is_never_recorded(cupy: ModuleType) -> None:
    class Doubled(dk.Layer):
        calls = 0

        def forward(self, xp: Any, x: Any) -> tuple[Any, Any]:
            Doubled.calls += 1
            return 2 * x, None

        def backward(self, xp: Any, dy: Any, saved: Any) -> tuple[Any, ...]:
            return (2 * dy,)

    x, labels = data()
    net = dk.Sequential([dk.Flatten(), Doubled(), dk.Dense(10, activation="softmax")], seed=1, backend="cupy")
    net.compile("sgd", "sparse_categorical_crossentropy")
    plan = net.fit(x / 16, labels, batch_size=BATCH, epochs=2, verbose=0).plan
    assert Doubled.calls == 18
    assert "step" not in plan.details
    assert not counts.prepared


def test_a_loss_that_is_not_a_number_is_traced_to_its_step(cupy: ModuleType) -> None:
    for how in WAYS:
        with way(how):
            net, loaded = ready(ADAM)
            executable = net.executable
            executable.begin_epoch(loaded, np.arange(90), BATCH)
            steps(net, 0, 5)
            name = executable.program.parameters[-1].name
            executable.write_parameter(name, np.full(10, np.nan, np.float32))
            steps(net, 5, 9)
            assert executable.totals().nan_step == 5


def test_cublas_has_a_workspace_per_stream_and_none_for_short_sums(cupy: ModuleType) -> None:
    get_backend("cupy")
    net, loaded = ready(ADAM)
    before = set(cublas.handles)
    for stream in (cupy.cuda.Stream.null, cupy.cuda.Stream(), cupy.cuda.Stream()):
        with stream:
            net.executable.predict(loaded, 90)
    made = [handle for number, handle in cublas.handles.items() if number not in before]
    assert len({handle.stream for handle in made}) == 3
    assert len({handle.workspace for handle in made}) == len(made) == 6
    assert {handle.workspace[1] for handle in made if handle.workspace} == {products.WORKSPACE_OF_HOPPER, 0}


@pytest.mark.parametrize("terms", [1, 128, 129, 1000])
def test_a_product_of_short_sums_is_computed_without_a_workspace(cupy: ModuleType, terms: int) -> None:
    a, b, out = (cupy.asarray(np.ones(shape, np.float32)) for shape in ((3, terms), (terms, 2), (3, 2)))
    before = {number: set(handle.terms) for number, handle in cublas.handles.items()}
    products.multiply(a, b, out)
    assert (out.get() == terms).all()
    used = [each for number, each in cublas.handles.items() if each.terms != before.get(number, set())]
    assert [handle.workspace[1] == 0 for handle in used if handle.workspace] == [terms <= products.SHORT]
