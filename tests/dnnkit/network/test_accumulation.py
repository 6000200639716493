"""Updates that are made of several batches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import BackendUnavailable, ConfigurationError, UnknownArgument
from dnnkit.network import summary
from tests.backends.numba_backend.partitions import DIVISIONS, dividing

rng = np.random.default_rng(8)
ROWS, FEATURES = 96, 7
X, Y = rng.normal(size=(ROWS, FEATURES)), rng.normal(size=(ROWS, 2))
SOME = rng.normal(size=(8, 2)) / 8

OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: dk.Adam(0.01),
    "momentum, clipped": lambda: dk.SGD(0.1, momentum=0.9, weight_decay=0.01, global_clipnorm=0.5),
    "means, each clipped, of groups": lambda: dk.AdamW(
        dk.schedules.ExponentialDecay(0.02, 2, 0.5), no_decay="bias", use_ema=True, clipnorm=0.1
    ),
    "a schedule": lambda: dk.RMSprop(dk.schedules.ExponentialDecay(0.01, 2, 0.5)),
}
LOSSES = ["mean_squared_error", "sum_squared_error"]


def network(
    together: int | None, backend: Backend | str, optimizer: Any = None, loss: str | None = LOSSES[0], **options: Any
) -> dk.Sequential:
    layers = [dk.Dense(20, activation="tanh"), dk.Dense(9, activation="gelu"), dk.Dense(2)]
    net = dk.Sequential(layers, seed=4, backend=backend, dtype="float64", **options)
    net.compile(optimizer or dk.Adam(0.01), loss, gradient_accumulation_steps=together)
    net.build(FEATURES)
    return net


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    """Return parameters and optimizer state, without the sum that an update leaves."""
    snapshot = net.executable.snapshot()
    slots = {name: value for name, value in snapshot.slots.items() if not name.startswith("gradient_sum/")}
    return {**snapshot.parameters, **slots}


def check_close(net: dk.Sequential, other: dk.Sequential, rtol: float = 1e-8) -> None:
    for name, value in numbers(other).items():
        np.testing.assert_allclose(numbers(net)[name], value, rtol=rtol, atol=1e-2 * rtol, err_msg=name)


def check_equal(net: dk.Sequential, other: dk.Sequential) -> None:
    snapshots = [each.executable.snapshot() for each in (net, other)]
    for kind in ("parameters", "slots"):
        one, two = (getattr(snapshot, kind) for snapshot in snapshots)
        assert one.keys() == two.keys()
        for name, value in one.items():
            np.testing.assert_array_equal(value, two[name], err_msg=name)
    assert snapshots[0].state.step == snapshots[1].state.step


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_fit_of_small_batches_is_one_of_large_ones(optimizer: str, loss: str, backend: Backend) -> None:
    small, large = (network(each, backend, OPTIMIZERS[optimizer](), loss) for each in (4, 1))
    found = small.fit(X, Y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    wanted = large.fit(X, Y, batch_size=32, epochs=3, shuffle=False, verbose=0)
    check_close(small, large)
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-8)
    assert (small.executable.state.step, large.executable.state.step) == (36, 9)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_so_it_is_however_the_work_is_divided(partition: str) -> None:
    for optimizer in OPTIMIZERS.values():
        plain = network(1, "numpy", optimizer())
        plain.fit(X, Y, batch_size=32, epochs=2, shuffle=False, verbose=0)
        with dividing(partition):
            net, stepped = (network(4, "numba", optimizer()) for _ in range(2))
            net.fit(X, Y, batch_size=8, epochs=2, shuffle=False, verbose=0)
            for start in [*range(0, ROWS, 8)] * 2:
                stepped.train_step(X[start : start + 8], Y[start : start + 8])
        check_close(net, plain)
        check_close(stepped, plain)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_batches_of_all_kinds_of_calls_make_an_update_together(optimizer: str, backend: Backend) -> None:
    net, plain = (network(each, backend, OPTIMIZERS[optimizer]()) for each in (5, 1))
    for _ in range(3):
        batch = X[:8], Y[:8]
        net.train_step(*batch)
        before = dict(plain.parameters)
        net.apply_gradients(net.get_gradients(X[8:16], Y[8:16])[1])
        net.step(X[:8], SOME)
        net.fit(X[16:32], Y[16:32], batch_size=8, shuffle=False, verbose=0)
        mean = {name: np.zeros_like(value) for name, value in before.items()}
        for start in range(0, 32, 8):
            for name, value in plain.get_gradients(X[start : start + 8], Y[start : start + 8])[1].items():
                mean[name] += value / 5
        for name, value in plain.backward(X[:8], SOME).items():
            mean[name] += value
        plain.apply_gradients(mean)
        check_close(net, plain)
    assert net.executable.state.step == 15


def test_it_resumes_in_the_middle_of_an_update_everywhere(backend: Backend, tmp_path: Any) -> None:
    """12 batches per epoch, in groups of five: the last batches of an epoch wait for the first of the next."""
    whole, parts = (network(5, backend) for _ in range(2))
    whole.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    parts.fit(X, Y, batch_size=8, steps=7, verbose=0)
    assert "5 batches per update" in summary.training(parts)
    parts.save(tmp_path / "net")
    others = [parts, parts.copy(), dk.load(tmp_path / "net", backend=backend)]
    for net in others:
        net.fit(X, Y, batch_size=8, steps=29, verbose=0)
        assert net.gradient_accumulation_steps == 5
        check_equal(net, whole)
    moved = dk.load(tmp_path / "net", backend=backend).to("numpy")
    moved.fit(X, Y, batch_size=8, steps=29, verbose=0)
    check_close(moved, whole)


def test_layers_that_are_frozen_and_dropout(backend: Backend) -> None:
    layers = [dk.Dense(20, activation="tanh"), dk.Dropout(0.4), dk.Dense(2)]
    nets = [dk.Sequential(layers, seed=4, backend=backend, dtype="float64") for _ in range(2)]
    for net in nets:
        net.compile(dk.SGD(1.0), LOSSES[0], gradient_accumulation_steps=2)
        net.build(FEATURES)
        net.freeze("dense")
    first, one, two = nets[0], *(nets[1].get_gradients(X[:8], Y[:8])[1] for _ in range(2))
    np.testing.assert_array_equal(one["dense_1/bias"], two["dense_1/bias"])
    before = first.parameters["dense_1/bias"]
    first.train_step(X[:8], Y[:8])
    two = first.get_gradients(X[:8], Y[:8])[1]  # with another mask than the batch before it
    assert not np.allclose(one["dense_1/kernel"], two["dense_1/kernel"])
    first.train_step(X[:8], Y[:8])
    np.testing.assert_allclose(
        first.parameters["dense_1/bias"], before - (one["dense_1/bias"] + two["dense_1/bias"]) / 2
    )
    first.unfreeze("*")
    first.fit(X, Y, batch_size=8, verbose=0)


def test_compile_starts_over_and_reports_errors(backend: Backend) -> None:
    net = network(3, backend)
    net.train_step(X, Y)
    net.compile("adam", LOSSES[0])
    assert (net.gradient_accumulation_steps, net.executable.state.step) == (1, 0)
    for given in (0, -1, 1.5, "4"):
        with pytest.raises(ConfigurationError, match="gradient_accumulation_steps"):
            net.compile("adam", LOSSES[0], gradient_accumulation_steps=given)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"=2, but LBFGS uses all samples"):
        net.compile("lbfgs", LOSSES[0], gradient_accumulation_steps=2)
    with pytest.raises(UnknownArgument, match=r"net\.compile"):
        dk.Adam(gradient_accumulation_steps=4)  # type: ignore[call-arg]


def test_an_executable_that_does_not_accumulate_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(1, "numpy")
    monkeypatch.setattr(type(net.executable), "api_version", 1)
    with pytest.raises(BackendUnavailable, match="api_version = 1, and gradient accumulation"):
        net.compile("adam", LOSSES[0], gradient_accumulation_steps=2)
