"""Epochs that are run with nothing in between: the same numbers, records, warnings and stops as one by one."""

import re
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import TrainingWarning
from dnnkit.training import loop

SAMPLES, EPOCHS = 50, 12


class Observer(dk.Callback):
    """Is called after each epoch, so no two are run with nothing in between."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _long_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "UNSEEN", 1e9)


def data(samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(samples, 5)), rng.integers(0, 3, samples)


def network(backend: Backend | str, rate: Any = 0.05, layers: int = 1) -> dk.Sequential:
    hidden = [dk.Dense(9, activation="tanh") for _ in range(layers)]
    net = dk.Sequential([*hidden, dk.Dense(3, activation="softmax")], seed=3, backend=backend)
    net.compile(dk.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def numbers(net: dk.Sequential) -> dict[str, bytes]:
    snapshot = net.executable.snapshot()
    return {name: array.tobytes() for name, array in {**snapshot.parameters, **snapshot.slots}.items()}


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list to which each stretch adds the number of its epochs."""
    counts, run = list[int](), loop.Fit._run_one_by_one

    def count(self: loop.Fit, most: int) -> Any:
        epochs = run(self, most)
        counts.append(epochs.count)
        return epochs

    monkeypatch.setattr(loop.Fit, "_run_one_by_one", count)
    return counts


SCHEDULE = dk.schedules.ExponentialDecay(0.1, 10, 0.9)
WAYS: dict[str, dict[str, Any]] = {
    "whole batches": {"batch_size": 10},
    "a shorter last batch": {"batch_size": 16},
    "one batch": {"batch_size": SAMPLES},
    "in order": {"batch_size": 16, "shuffle": False},
    "with replacement": {"batch_size": 16, "shuffle": "with_replacement"},
    "weights": {"batch_size": 16, "sample_weight": np.linspace(0.5, 2, SAMPLES)},
    "several passes": {"batch_size": 16, "steps_per_epoch": 7},
    "a number of steps": {"batch_size": 16, "steps": 4 * EPOCHS - 2, "epochs": None},
    "some validated": {"batch_size": 16, "validation_split": 0.2, "validation_freq": 5},
    "a schedule": {"batch_size": 16, "rate": SCHEDULE},
}


@pytest.mark.parametrize("how", WAYS)
def test_they_are_those_that_are_run_one_by_one(backend: Backend, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"epochs": EPOCHS, "verbose": 0, **WAYS[how]}
    rate = options.pop("rate", 0.05)
    one_by_one, together, counts = network(backend, rate), network(backend, rate), counted(monkeypatch)
    expected = one_by_one.fit(*data(), callbacks=Observer(), **options)
    assert not counts
    history = together.fit(*data(), **options)
    assert max(counts) > 1
    assert numbers(together) == numbers(one_by_one)
    assert together.executable.state == one_by_one.executable.state
    assert (history.epoch, together.history.epoch) == (expected.epoch, one_by_one.history.epoch)
    for name, values in expected.history.items():
        np.testing.assert_array_equal(history[name], values, err_msg=name)
    more = [net.fit(*data(), verbose=0)["loss"] for net in (one_by_one, together)]
    assert more[0] == more[1]


@pytest.mark.parametrize("step", [4, 17, 20])
def test_ctrl_c_stops_after_a_step_and_training_goes_on_from_there(backend: Backend, step: int) -> None:
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), epochs=EPOCHS, batch_size=16, verbose=0)
    stopped.build(5)
    executable = stopped.executable
    run, pressed = executable.run_steps, []

    def press(*arguments: Any) -> int:
        if not pressed and executable.state.step + 4 > step:
            pressed.append(step)
            signal.raise_signal(signal.SIGINT)
        return run(*arguments)

    executable.run_steps = press  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*data(), epochs=EPOCHS, batch_size=16, verbose=0)
    done = executable.state.step
    assert pressed
    assert done < 4 * EPOCHS
    stopped.fit(*data(), steps=4 * EPOCHS - done, batch_size=16, verbose=0)
    assert numbers(stopped) == numbers(whole)
    assert stopped.executable.state == whole.executable.state
    assert stopped.history.epoch == whole.history.epoch


def test_a_checkpoint_is_saved_when_it_is_due(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = counted(monkeypatch)
    for name, every in {"epochs": "5 epochs", "steps": "10 steps"}.items():
        options = {"epochs": 11, "batch_size": 16, "verbose": 0, "checkpoint_every": every, "checkpoint_keep": 9}
        kept = {}
        for callbacks in (Observer(), ()):
            folder = tmp_path / name / str(bool(callbacks))
            network(backend).fit(*data(), checkpoint=folder, callbacks=callbacks, **options)
            kept[bool(callbacks)] = sorted(each.name for each in folder.iterdir() if each.is_dir())
        assert kept[True] == kept[False]
    assert max(counts) > 1


@pytest.mark.parametrize(
    ("rate", "after", "words"), [(1.5, 0, "growing loss.* in epoch 3"), (1e300, 5, "NaN since epoch 8")]
)
def test_warnings_name_the_same_epoch(backend: Backend, rate: float, after: int, words: str) -> None:
    x, y = data()[0], data()[0] @ np.ones((5, 1))
    said = []
    for callbacks in (Observer(), ()):
        net = dk.Sequential([dk.Dense(1)], seed=0, backend=backend)
        net.compile(dk.SGD(dk.schedules.PiecewiseConstantDecay([after], [0.01, rate])), "mean_squared_error")
        with pytest.warns(TrainingWarning, match=words) as caught:
            net.fit(x, y, epochs=9, batch_size=SAMPLES, callbacks=callbacks, verbose=0)
        said.append([str(each.message) for each in caught])
    assert said[0] == said[1]


def test_another_thread_gets_its_turn_and_can_end_the_fit(backend: Backend) -> None:
    net = network(backend)
    net.build(5)
    begun, saved = threading.Event(), list[int]()

    def save_and_stop() -> None:
        begun.wait(60)
        try:
            time.sleep(0.05)
            net.set_parameters(net.initial_parameters())  # takes a turn
            saved.append(net.executable.state.epoch)
        finally:
            net.stop_training = True

    thread = threading.Thread(target=save_and_stop)
    thread.start()
    executable = net.executable
    begin = executable.begin_epoch

    def begin_epoch(*arguments: Any) -> None:
        begin(*arguments)
        begun.set()

    executable.begin_epoch = begin_epoch  # type: ignore[method-assign]
    history = net.fit(*data(), epochs=10**5, batch_size=16, verbose=0)
    thread.join()
    assert saved
    assert len(history.epoch) == len(net.history["loss"]) < 10**5
    assert history.epoch == list(range(len(history.epoch)))
    assert net.executable.state.step == 4 * net.executable.state.epoch + net.executable.state.position


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
@pytest.mark.parametrize("epochs", [5, 60])
def test_they_are_shown_as_if_one_by_one(verbose: Any, epochs: int, capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for callbacks in (Observer(), ()):
        network("numpy").fit(*data(), epochs=epochs, batch_size=16, callbacks=callbacks, verbose=verbose)
        text = re.sub(r"[\d.]+ (m?s|µs/sample) - ", "", capsys.readouterr().out)
        shown.append([line for line in text.splitlines() if line.strip()])  # a bar leaves an empty line
    assert shown[0] == shown[1]
    assert f"Epoch {epochs}/{epochs}" in "".join(shown[1])


def test_full_batch_epochs_have_titles(capsys: pytest.CaptureFixture[str]) -> None:
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=3, backend="numpy")
    net.compile(dk.LBFGS(), "sparse_categorical_crossentropy")
    net.fit(*data(), epochs=4, verbose=1)
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")]
    assert titles == [f"Epoch {number}/4" for number in range(1, 5)]
