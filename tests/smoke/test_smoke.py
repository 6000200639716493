"""Every package once, in seconds: the first tests to run after an edit, and before a commit."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend, available, get_backend
from dnnkit.kernels import registry
from dnnkit.testing import QUESTIONS, of_backend
from dnnkit.testing.conformance import kernels
from tests.backends.networks import CASES, data
from tests.cuda_on_cpu import cupy_stand_in
from tests.dnnkit.cli.command import dnnkit

CASE = CASES["relu sigmoid tanh, softmax, sparse, adam"]


def test_a_network_learns_and_continues_after_a_save(backend: Backend, tmp_path: Path) -> None:
    x, labels = data()
    net = CASE.network(backend, "float32")
    history = net.fit(x, labels, epochs=10, batch_size=10, validation_split=0.2, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
    net.save(tmp_path / "net")
    again = dk.load(tmp_path / "net", backend=backend.name)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    assert again.fit(x, labels, verbose=0)["loss"] == net.fit(x, labels, verbose=0)["loss"]


def test_gradients_are_right(backend: Backend) -> None:
    x, labels = data(7)
    assert dk.check_gradients(CASE.network(backend), x, labels, samples=5).passed


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.kind}-{question.name}")
def test_a_kernel_of_each_kind(question) -> None:
    """On the default backend, the first check of the first kernel."""
    kernel = kernels(question.kind, question.operation)[0]
    assert not question.failures(of_backend(get_backend("auto"), largest=3000), kernel)


@pytest.mark.cuda_on_cpu
def test_a_step_of_cuda_kernels_on_the_cpu() -> None:
    x, labels = data(20)
    with cupy_stand_in.in_place_of_cupy():
        loss = CASE.network("cupy", "float32").train_step(x, labels)
    assert loss == pytest.approx(CASE.network("numpy", "float32").train_step(x, labels), rel=1e-5)


def test_an_activation_from_its_formula() -> None:
    own = dk.activation("smoke", "x / (1 + exp(-x))")
    net = dk.Sequential([dk.Dense(3, activation=own), dk.Dense(2)], seed=0)
    net.compile("sgd", "mean_squared_error")
    rng = np.random.default_rng(0)
    history = net.fit(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), epochs=3, verbose=0)
    assert history["loss"][-1] < history["loss"][0]


def test_functions_schedules_callbacks_and_data() -> None:
    np.testing.assert_allclose(dk.ops.softmax(np.zeros((1, 4))), 0.25)
    assert dk.schedules.ExponentialDecay(1.0, 10, 0.5)(10) == pytest.approx(0.5)
    (x, y), _ = dk.datasets.digits.load_data()
    net = dk.Sequential([dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(10, activation="softmax")], seed=0)
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks = [dk.EarlyStopping(monitor="loss", patience=1), dk.TerminateOnNaN()]
    assert len(net.fit(x, y, epochs=2, callbacks=callbacks, verbose=0)["loss"]) == 2


def test_every_backend_reports_its_state_and_every_kernel_has_a_contract() -> None:
    assert all(info.available or info.reason for info in available())
    for name in registry.kernels():
        assert "Maths:" in (registry.contract(name).__doc__ or ""), name


def test_the_command_line(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-m", "dnnkit", "--version"], capture_output=True).returncode == 0
    for arguments in (["backends"], ["bench", "--help"], ["train", "--help"]):
        assert dnnkit(tmp_path, *arguments).returncode == 0, arguments
