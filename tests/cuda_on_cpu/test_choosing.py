"""The choice of "auto" where a GPU works, on the stand-in for CuPy: with given constants of GPUs, and measured ones."""

import copy
import json
import re
from dataclasses import astuple, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import choosing, get_backend
from dnnkit.backends.cupy_backend import cost_model
from dnnkit.backends.cupy_backend.backend import CupyBackend
from dnnkit.backends.cupy_backend.cost_model import Gpu
from tests.backends.programs import WIDE, classifier, program_of
from tests.cuda_on_cpu.cupy_stand_in import counts, memory

pytestmark = pytest.mark.cuda_on_cpu

GPUS = {
    "of a data centre": Gpu(110e-6, 130e-6, 5e13, 2.5e13, 3e12, 2e10),
    "of a workstation": Gpu(150e-6, 170e-6, 2e13, 3e11, 8e11, 1e10),
    "of a laptop": Gpu(300e-6, 350e-6, 4e12, 6e10, 2e11, 3e9),
}
"""Artificial: about what data sheets say of such GPUs, and the host's times of the review."""


@pytest.fixture
def gpu(cupy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CupyBackend:
    """The stand-in's GPU, of which nothing is known yet."""
    pytest.importorskip("numba")
    monkeypatch.setenv("DNNKIT_CACHE_DIR", str(tmp_path))
    backend = get_backend("cupy")
    assert isinstance(backend, CupyBackend)
    return backend


@pytest.mark.parametrize("kind", GPUS)
def test_only_wide_networks_in_large_batches_go_to_the_gpu(gpu: CupyBackend, kind: str) -> None:
    cost_model.keep(gpu, GPUS[kind])
    for widths, rows in [((3, 1), 4), ((64, 128, 10), 32), ((784, 128, 10), 32), ((20, 64, 64, 64, 10), 32)]:
        chosen = choosing.choose(None, classifier(*widths), rows)
        assert chosen.backend is get_backend("numba")
    chosen = choosing.choose(None, WIDE, 512)
    assert chosen.backend is gpu
    assert re.fullmatch(r"cupy: [\d,]+ µs per step predicted on the GPU, [\d,]+ by numba", chosen.why)
    assert not counts.functions, "constants that are kept are not measured again"


def test_a_gpu_that_is_slow_in_float64_is_not_used_for_it(gpu: CupyBackend) -> None:
    cost_model.keep(gpu, replace(GPUS["of a laptop"], float64=1e9))
    assert choosing.choose(None, WIDE, 512).backend is gpu
    chosen = choosing.choose(None, classifier(784, 4096, 4096, 10, dtype="float64"), 512)
    assert chosen.backend.name == "numba"
    assert re.fullmatch(r"numba: [\d,]+ µs per step predicted here, [\d,]+ on the GPU", chosen.why)


def test_a_gpu_that_is_hardly_faster_is_not_used(gpu: CupyBackend) -> None:
    mine = get_backend("numba").seconds_per_step(WIDE, 512)
    assert mine is not None
    for share, taken in [(1.0, "numba"), (1.001 * choosing.WORTH, "numba"), (0.999 * choosing.WORTH, "cupy")]:
        gpu._gpu = Gpu(share * mine, 1e-12, 1e30, 1e30, 1e30, 1e30)
        assert choosing.choose(None, WIDE, 512).backend.name == taken


def test_without_a_predicted_time_the_processor_is_chosen(gpu: CupyBackend) -> None:
    class Doubled(dk.Layer):
        def forward(self, xp: Any, x: Any) -> tuple[Any, Any]:
            return 2 * x, None

        def backward(self, xp: Any, dy: Any, saved: Any) -> tuple[Any, ...]:
            return (2 * dy,)

    cost_model.keep(gpu, GPUS["of a data centre"])
    program = program_of([dk.Dense(4096), Doubled(), dk.Dense(4096)], 784)
    chosen = choosing.choose(None, program, 512)
    assert chosen.backend.name == "numba"
    assert chosen.why.endswith("the time per step of cupy is unknown")


def test_every_part_of_a_step_costs_something() -> None:
    gpu = GPUS["of a workstation"]
    least = cost_model.seconds_per_step(classifier(64, 128, 10), 32, gpu)
    for name, value in vars(gpu).items():
        worse = replace(gpu, **{name: value * 2 if name in ("step", "layer") else value / 2})
        more = cost_model.seconds_per_step(classifier(64, 128, 10), 32, worse)
        assert (more > least) == (name != "float64")
    assert cost_model.seconds_per_step(classifier(64, 128, 128, 10), 32, gpu) > least + gpu.layer
    assert cost_model.seconds_per_step(classifier(64, 128, 10), 33, gpu) > least
    normal = program_of([dk.Dense(128, "relu"), dk.BatchNormalization(), dk.Dense(10)], 64)
    assert cost_model.seconds_per_step(normal, 32, gpu) > least + gpu.layer


def test_constants_are_measured_once_and_cached(
    gpu: CupyBackend, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_model, "STEPS", 3)  # the stand-in is slow
    first = choosing.choose(None, WIDE, 512)
    assert first.backend.name in ("numba", "cupy")
    (file,) = (tmp_path / "gpu").iterdir()
    kept = json.loads(file.read_text())
    assert kept["device"] == "Stand-in"
    assert gpu._gpu == Gpu(**kept["measured"])
    assert min(astuple(gpu._gpu)) > 0
    counts.reset()
    assert cost_model.kept(gpu) == gpu._gpu
    assert not counts.functions
    assert choosing.choose(None, WIDE, 512) == first
    (said,) = caplog.messages
    assert "measures GPU 0, Stand-in, once on this machine" in said


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"measured": 3}', '{"measured": {"step": 1}}', "of another driver", "negative", "nan"]
)
def test_a_file_that_makes_no_sense_is_not_believed(gpu: CupyBackend, tmp_path: Path, text: str) -> None:
    cost_model.keep(gpu, GPUS["of a laptop"])
    assert cost_model._read(gpu) == GPUS["of a laptop"]
    (file,) = (tmp_path / "gpu").iterdir()
    kept = json.loads(file.read_text())
    changed = {
        "of another driver": {**kept, "driver": 1},
        "negative": {**kept, "measured": {**kept["measured"], "layer": -1.0}},
        "nan": {**kept, "measured": {**kept["measured"], "bytes": float("nan")}},
    }
    file.write_text(json.dumps(changed[text]) if text in changed else text)
    assert cost_model._read(gpu) is None


# -- networks --------------------------------------------------------------------------------------------------------

FAST = Gpu(5e-5, 1e-5, 1e15, 1e15, 1e15, 1e15)
"""A step of one layer takes this GPU 60 µs, for any number of rows."""
ROWS = 256


def network() -> dk.Sequential:
    """One layer, so that the stand-in finishes a step in a second."""
    net = dk.Sequential([dk.Dense(256, activation="softmax")], seed=0)
    net.compile("sgd", "sparse_categorical_crossentropy")
    return net


def data() -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(0).normal(size=(ROWS, 512)).astype(np.float32), np.arange(ROWS) % 256


@pytest.mark.parametrize("is_built", [False, True])
def test_fit_uses_the_gpu_for_large_batches_and_stays_there(gpu: CupyBackend, tmp_path: Path, is_built: bool) -> None:
    cost_model.keep(gpu, FAST)
    net, (x, y) = network(), data()
    if is_built:
        net.build(512, batch_size=1)
        assert net.backend.name == "numba"
    before = None if not is_built else dict(net.parameters)
    history = net.fit(x, y, batch_size=ROWS, verbose=0)
    assert net.backend is gpu
    assert history.plan.backend == "cupy"
    assert history.plan.details[choosing.CHOSEN].startswith("cupy: ")
    expected = dk.Sequential([dk.Dense(256, activation="softmax")], seed=0, backend="numpy")
    expected.compile("sgd", "sparse_categorical_crossentropy")
    expected.fit(x, y, batch_size=ROWS, verbose=0)
    for name, value in expected.parameters.items():
        np.testing.assert_allclose(net.parameters[name], value, atol=1e-5)
        assert before is None or not np.array_equal(before[name], value)
    net.save(tmp_path / "run")
    for other in (net, copy.deepcopy(net), dk.load(tmp_path / "run")):
        other.fit(x[:4], y[:4], batch_size=1, steps=1, verbose=0)
        assert other.backend is gpu
        assert other.history.plan.details[choosing.CHOSEN] == history.plan.details[choosing.CHOSEN]


def test_a_network_that_trained_on_the_processor_stays_there(gpu: CupyBackend) -> None:
    cost_model.keep(gpu, FAST)
    net, (x, y) = network(), data()
    net.fit(x[:8], y[:8], batch_size=4, verbose=0)
    net.compile("sgd", "sparse_categorical_crossentropy")
    net.fit(x, y, batch_size=ROWS, verbose=0)
    assert net.backend.name == "numba"


def test_a_gpu_that_cannot_build_the_network_leaves_it_to_the_processor(gpu: CupyBackend) -> None:
    cost_model.keep(gpu, FAST)
    memory.limit = 1000
    net, (x, y) = network(), data()
    plan = net.fit(x, y, batch_size=ROWS, verbose=0).plan
    assert plan.backend == "numba"
    assert plan.details[choosing.CHOSEN].startswith("numba: cupy failed when the network was built: DeviceMemoryError")
    with pytest.raises(dk.errors.DeviceMemoryError):  # an explicit request for the GPU is an error
        dk.Sequential(net.layers, seed=0, backend="cupy").build(512)


def test_a_gpu_that_breaks_while_it_is_measured_is_a_line(gpu: CupyBackend, tmp_path: Path) -> None:
    memory.limit = 1000
    chosen = choosing.choose(None, WIDE, 512)
    assert chosen.backend.name == "numba"
    assert "; cupy failed when it was measured: " in chosen.why
    assert "\n" not in chosen.why
    assert not (tmp_path / "gpu").exists()


def test_functions_on_arrays_of_the_host_stay(gpu: CupyBackend) -> None:
    cost_model.keep(gpu, FAST)
    counts.reset()
    assert isinstance(dk.ops.sigmoid(np.ones((4096, 1024))), np.ndarray)
    assert not counts.launches
    assert not counts.uploads
