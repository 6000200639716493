"""A fit that saves itself, and resumes as if it had not been interrupted."""

import json
import os
import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from benchmarks.kills.chains import kill
from benchmarks.kills.job import Job
from dnnkit.backends import Backend
from dnnkit.errors import CheckpointError, ConcurrentUse, ConfigurationError
from dnnkit.saves import folder as folders
from dnnkit.training.checkpoints import Every
from tests import conftest
from tests.dnnkit.training.counting import BATCH, Listener, bits, data, network, state

REAL = [name for name in conftest.tested_backends() if name in ("numpy", "numba")]


def fit(net: dk.Sequential, folder: Path | None, **options: Any) -> dk.History:
    x, y = data()
    options = {"batch_size": BATCH, "epochs": 4, "validation_data": (x, y), "verbose": 0, **options}
    if folder is not None:
        options = {"checkpoint": folder, "checkpoint_every": "1 steps", **options}
    return net.fit(x, y, **options)


class Fail(dk.Callback):
    """As a program that dies: nothing more is saved."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step:
            raise RuntimeError("out of luck")


def fail(net: dk.Sequential, folder: Path, step: int, callbacks: tuple = (), **options: Any) -> None:
    with pytest.raises(RuntimeError, match="out of luck"):
        fit(net, folder, callbacks=[*callbacks, Fail(step)], **options)


# -- resuming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", ["1 step", "4 steps", "2 epochs", "0.0001 s"])
@pytest.mark.parametrize("step", [1, 3, 5, 9])
def test_it_resumes_as_if_it_had_not_been_interrupted(backend: Backend, tmp_path: Path, every: str, step: int) -> None:
    whole, later = network(backend), network(backend)
    expected = fit(whole, None)
    fail(network(backend), tmp_path, step, checkpoint_every=every)
    history = fit(later, tmp_path, checkpoint_every=every)
    assert bits(later) == bits(whole)
    assert later.executable.snapshot().state.step == whole.executable.state.step
    assert (history.epoch, history.history) == (expected.epoch, expected.history)
    assert (later.history.epoch, later.history.history) == (whole.history.epoch, whole.history.history)
    assert bits(dk.load(tmp_path, backend=backend)) == bits(whole)


def test_a_finished_fit_returns_its_history_and_more_epochs_extend_it(backend: Backend, tmp_path: Path) -> None:
    whole, net, listener = network(backend), network(backend), Listener()
    fit(whole, None, epochs=6)
    first = fit(net, tmp_path)
    again = network(backend)
    history = fit(again, tmp_path, callbacks=listener)
    assert listener.heard == []
    assert (history.epoch, history.history, history.seconds) == (first.epoch, first.history, first.seconds)
    assert bits(again) == bits(net)
    raised = fit(network(backend), tmp_path, epochs=6)
    assert raised.history == whole.history.history
    assert fit(network(backend), tmp_path, epochs=2).epoch == raised.epoch  # more than was requested


def test_steps_are_counted_from_the_first_call(backend: Backend, tmp_path: Path) -> None:
    whole, net = network(backend), network(backend)
    expected = fit(whole, None, epochs=None, steps=8)
    for goal in (2, 2, 5, 8):
        net = network(backend)
        history = fit(net, tmp_path, epochs=None, steps=goal)
        assert net.executable.state.step == goal
    assert bits(net) == bits(whole)
    assert (history.epoch, history.history) == (expected.epoch, expected.history)
    loaded = dk.load(tmp_path, backend=backend)
    for other in (whole, loaded):
        other.fit(*data(), batch_size=BATCH, steps=4, verbose=0)
    assert bits(loaded) == bits(whole)


def test_a_fit_that_is_not_the_networks_first(tmp_path: Path) -> None:
    whole, net = network(), network()
    for one in (whole, net):
        fit(one, None, epochs=2)
    expected = fit(whole, None, epochs=5, initial_epoch=2)
    fail(net, tmp_path, 10, epochs=5, initial_epoch=2)
    later = network()
    history = fit(later, tmp_path, epochs=5, initial_epoch=2)
    assert history.epoch == expected.epoch == [2, 3, 4]
    assert history.history == expected.history
    assert later.history.epoch == whole.history.epoch == [0, 1, 2, 3, 4]
    assert bits(later) == bits(whole)


def test_a_seed_that_was_drawn_is_the_checkpoints(tmp_path: Path) -> None:
    def drawn() -> dk.Sequential:
        net = dk.Sequential([dk.Dense(4), dk.Dropout(0.5), dk.Dense(3, activation="softmax")])
        net.compile("sgd", "sparse_categorical_crossentropy")
        return net

    first, later = drawn(), drawn()
    fail(first, tmp_path, 5)
    fit(later, tmp_path)
    whole = dk.Sequential(first.layers, seed=first.seed)
    whole.compile("sgd", "sparse_categorical_crossentropy")
    fit(whole, None)
    assert later.seed == later.history.seed == first.seed
    assert bits(later) == bits(whole)


# -- callbacks -------------------------------------------------------------------------------------------------------


def test_callbacks_know_what_they_knew(backend: Backend, tmp_path: Path) -> None:
    """F6: patience started again, the best epoch was forgotten, and the table too."""

    def made(place: Path) -> tuple:
        stopper = dk.EarlyStopping(patience=3, min_delta=0.05)
        return stopper, dk.ModelCheckpoint(place / "best", save_best_only=True), dk.CSVLogger(place / "log.csv")

    outcomes = []
    for name, steps in (("whole", ()), ("cut", (4, 11, 14))):
        place = tmp_path / name
        place.mkdir()
        for step in steps:
            fail(network(backend), place / "run", step, made(place), epochs=40)
        net, callbacks = network(backend), made(place)
        fit(net, place / "run", epochs=40, callbacks=callbacks)
        best = dk.load(place / "best", backend=backend)
        log = (place / "log.csv").read_text()
        outcomes.append((bits(net), bits(best), log, callbacks[0].best, callbacks[0].best_epoch))
        assert callbacks[0].stopped_epoch is not None
        assert fit(network(backend), place / "run", epochs=40, callbacks=made(place)).epoch == net.history.epoch
    assert outcomes[0] == outcomes[1]


def test_an_interrupt_within_a_test_batch_loses_nothing(backend: Backend, tmp_path: Path) -> None:
    def interrupt(batch: int, logs: Any) -> None:
        if batch == 1 and callback.model.executable.state.epoch == 2:
            signal.raise_signal(signal.SIGINT)

    callback = dk.LambdaCallback(on_test_batch_end=interrupt)
    whole, later = network(backend), network(backend)
    expected = fit(whole, None, callbacks=dk.LambdaCallback(on_test_batch_end=lambda batch, logs: None))
    with pytest.raises(KeyboardInterrupt):
        fit(network(backend), tmp_path, callbacks=callback)
    history = fit(later, tmp_path, callbacks=dk.LambdaCallback(on_test_batch_end=lambda batch, logs: None))
    assert bits(later) == bits(whole)
    assert history.history == expected.history


class Counter(dk.Callback):
    """A custom callback."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_epoch_end(self, epoch, logs):
        self.seen.append(epoch)

    def state(self):
        return {"seen": self.seen, "as array": np.array(self.seen, np.int16), "deep": {"number": np.float32(1.5)}}

    def restore(self, state):
        assert state["as array"].dtype == np.int16
        assert state["as array"].tolist() == state["seen"]
        assert state["deep"] == {"number": 1.5}
        self.seen = list(state["seen"])


def test_a_custom_callback_keeps_its_state(tmp_path: Path) -> None:
    counters = Counter(), Counter()
    fail(network(), tmp_path, 8, (counters[0],))
    fit(network(), tmp_path, callbacks=["TerminateOnNaN", counters[1]])
    assert counters[1].seen == [0, 1, 2, 3]


def test_a_state_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    class Bad(dk.Callback):
        def state(self):
            return {"file": object()}

    with pytest.raises(ConfigurationError, match=r"callback/0/state/file: expected numbers, text"):
        fit(network(), tmp_path / "run", callbacks=Bad())
    assert not (tmp_path / "run").exists()


def test_a_rate_that_a_callback_changed_stays_changed(tmp_path: Path) -> None:
    class Halve(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.optimizer.learning_rate /= 2

    def made() -> dk.Sequential:
        net = network()
        net.compile(dk.SGD(0.4), "sparse_categorical_crossentropy")
        return net

    whole, later = made(), made()
    fit(whole, None, callbacks=Halve())
    fail(made(), tmp_path, 8, (Halve(),))
    fit(later, tmp_path, callbacks=Halve())
    assert bits(later) == bits(whole)
    assert later.optimizer.learning_rate == whole.optimizer.learning_rate == 0.025
    assert fit(later, tmp_path, callbacks=Halve()).epoch == [0, 1, 2, 3]  # the same network, its rate as it is now


def of_plateaus(place: Path) -> tuple:
    return (
        dk.ReduceLROnPlateau("loss", factor=0.7, patience=1, min_delta=0.01, cooldown=1),
        dk.CSVLogger(place / "log.csv"),
    )


def of_epochs(place: Path) -> tuple:
    return dk.LearningRateScheduler(lambda epoch, rate: 0.8 * rate), dk.CSVLogger(place / "log.csv")


def of_batches(place: Path) -> tuple:
    return (dk.ModelCheckpoint(place / "saves" / "{epoch}-{batch}", save_freq=4),)


@pytest.mark.parametrize("made", [of_plateaus, of_epochs, of_batches])
def test_counters_and_learning_rates_resume_where_they_were(made: Any, tmp_path: Path) -> None:
    """Interrupted within epochs whose rate was already set, some steps after a checkpoint."""
    outcomes = []
    for name, steps in (("whole", ()), ("cut", (1, 5, 9))):
        (place := tmp_path / name).mkdir()

        def steep() -> dk.Sequential:
            net = network("numpy")
            net.compile(dk.SGD(0.4), "sparse_categorical_crossentropy")
            return net

        for step in steps:
            fail(steep(), place / "run", step, made(place), epochs=6, checkpoint_every="2 steps")
        history = fit(net := steep(), place / "run", epochs=6, callbacks=made(place), checkpoint_every="1 epoch")
        files = {file.name: file.read_text() if file.suffix == ".csv" else "" for file in place.rglob("*[0-9v]")}
        files = {name: text for name, text in files.items() if name.endswith("csv") or "-" in name}
        outcomes.append((bits(net), net.optimizer.learning_rate, history.history, files))
    assert outcomes[0] == outcomes[1]
    assert len(set(outcomes[0][2].get("learning_rate", range(8)))) > 2
    assert outcomes[0][3]


# -- what is rejected ------------------------------------------------------------------------------------------------


def other_seed(x, y):
    net = network()
    net.seed = 8
    return net, {}


def other_layers(x, y):
    net = dk.Sequential([dk.Dense(7, activation="tanh"), dk.Dropout(0.2), dk.Dense(3, activation="softmax")], seed=7)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net, {}


def other_optimizer(x, y):
    net = network()
    net.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    return net, {}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (other_seed, "seed is 7 there, 8 here"),
        (other_layers, r"layers\[0\].units is 6 there, 7 here; dtype is 'float64' there, 'float32' here"),
        (other_optimizer, "optimizer is Adam there, SGD here"),
        ({"batch_size": 3}, "batches is '3 steps per epoch, 10 rows .* batch_size 4.* there, '4 steps per epoch"),
        ({"shuffle": False}, "shuffle True' there"),
        ({"steps_per_epoch": 5}, "'5 steps per epoch"),
        ({"initial_epoch": 1}, "initial_epoch is 0 there, 1 here"),
        ({"sample_weight": np.ones(10)}, "the data's fingerprint is"),
        ({"validation_data": None}, "the validation data's fingerprint is"),
    ],
    ids=["seed", "layers", "optimizer", "batch size", "shuffle", "steps", "first epoch", "weights", "validation"],
)
def test_a_checkpoint_of_another_run_is_rejected(tmp_path: Path, what: Any, message: str) -> None:
    fail(network(), tmp_path, 5)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    net, options = (network(), what) if isinstance(what, dict) else what(*data())
    with pytest.raises(CheckpointError, match=message):
        fit(net, tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_data_are_rejected(tmp_path: Path) -> None:
    fail(network(), tmp_path, 5)
    x, y = data()
    x[7, 2] = np.nextafter(x[7, 2], 1)
    with pytest.raises(CheckpointError, match=r"the data's fingerprint is '[0-9a-f]{16}' there"):
        network().fit(x, y, batch_size=BATCH, epochs=4, validation_data=data(), checkpoint=tmp_path, verbose=0)


def test_a_save_is_no_checkpoint_and_is_not_touched(tmp_path: Path) -> None:
    net = network()
    net.save(tmp_path)
    before = bits(dk.load(tmp_path))
    with pytest.raises(CheckpointError, match=r"holds a save, but not a checkpoint of a fit: .* with dk.load"):
        fit(net, tmp_path)
    assert bits(dk.load(tmp_path)) == before


@pytest.mark.parametrize("text", ["", "0 s", "1.5 steps", "-1 s", "10", "10 days", 30, None, "1 epoch or so"])
def test_how_often_is_a_time_or_a_number_of_steps_or_epochs(tmp_path: Path, text: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"checkpoint_every is .*: expected a time, .* such as '30 s'"):
        fit(network(), tmp_path / "run", checkpoint_every=text)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "seconds", "steps", "epochs"),
    [
        ("30 s", 30, 0, 0),
        ("1.5min", 90, 0, 0),
        ("2 h", 7200, 0, 0),
        ("1 step", np.inf, 1, 0),
        ("3epochs", np.inf, 0, 3),
    ],
)
def test_units(text: str, seconds: float, steps: int, epochs: int) -> None:
    every = Every(text)
    assert (every.seconds, every.steps, every.epochs) == (seconds, steps, epochs)


def test_one_folder_is_for_one_fit_at_a_time(tmp_path: Path) -> None:
    inside, over = threading.Event(), threading.Event()

    class Wait(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            inside.set()
            assert over.wait(300)

    thread = threading.Thread(target=lambda: fit(network(), tmp_path, callbacks=Wait()), daemon=True)
    thread.start()
    assert inside.wait(300)
    with pytest.raises(CheckpointError, match="is in use by another running fit"):
        fit(network(), tmp_path)
    over.set()
    thread.join(300)
    assert fit(network(), tmp_path).epoch == [0, 1, 2, 3]


# -- the folder ------------------------------------------------------------------------------------------------------


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "versions").iterdir())


def test_the_newest_are_kept_and_a_damaged_one_falls_back(tmp_path: Path, caplog) -> None:
    whole = network()
    fit(whole, None)
    fail(network(), tmp_path, 8, checkpoint_keep=3)
    kept = versions(tmp_path)
    assert len(kept) == 3
    for count, version in enumerate(reversed(kept[1:]), 1):
        (tmp_path / "versions" / version / "weights.safetensors").write_bytes(b"damaged")
        assert dk.load(tmp_path, backend="numpy").executable.state.step == 8 - 1 - count
        assert f"version {kept[-1 - count]} is read instead" in caplog.text
    later = network()
    fit(later, tmp_path)
    assert bits(later) == bits(whole)
    (tmp_path / "versions" / versions(tmp_path)[-1] / "state.json").unlink()
    assert dk.load(tmp_path).history.epoch == [0, 1, 2]


def test_only_one_is_kept_on_request(tmp_path: Path) -> None:
    fit(network(), tmp_path, checkpoint_keep=1)
    assert len(versions(tmp_path)) == 1


def test_a_checkpoint_that_cannot_be_written_does_not_end_training(tmp_path: Path, caplog, monkeypatch) -> None:
    written, write = [], folders.write

    def failing(path: Path, content: bytes) -> None:
        if len(written) in range(8, 20):
            written.append(path)
            raise OSError(28, "No space left on device")
        written.append(path)
        write(path, content)

    monkeypatch.setattr(folders, "write", failing)
    net, whole = network(), network()
    history, expected = fit(net, tmp_path), fit(whole, None)
    assert history.history == expected.history
    assert bits(net) == bits(dk.load(tmp_path)) == bits(whole)
    assert "no checkpoint, training continues: cannot write a save" in caplog.text


def test_a_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    class Remove(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    whole = network()
    fit(whole, None)
    fit(network(), tmp_path / "run", callbacks=Remove())
    assert bits(dk.load(tmp_path / "run")) == bits(whole)


def test_a_folder_that_cannot_be_made_is_an_error_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    listener = Listener()
    with pytest.raises(CheckpointError, match="file"):
        fit(network(), tmp_path / "file" / "run", callbacks=listener)
    assert listener.heard == []


def test_a_later_format_names_the_version_that_reads_it(tmp_path: Path, monkeypatch) -> None:
    fit(network(), tmp_path)
    place = tmp_path / "versions" / versions(tmp_path)[-1] / "architecture.json"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    content = place.read_bytes().replace(b'"format": 3', b'"format": 9').replace(b'"dnnkit": "', b'"dnnkit": "7.')
    place.write_bytes(content)
    manifest["files"]["architecture.json"] = {"bytes": len(content), "sha256": folders._sum(content)}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for act in (lambda: dk.load(tmp_path), lambda: fit(network(), tmp_path)):
        with pytest.raises(
            CheckpointError, match=r"in format 9 by dnnkit 7\..* reads formats up to 3: install dnnkit 7"
        ):
            act()


# -- signals ---------------------------------------------------------------------------------------------------------


class Press(dk.Callback):
    """Sends a signal after this many updates."""

    def __init__(self, step: int, number: int, times: int = 1) -> None:
        self.step, self.number, self.times = step, number, times

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step:
            for _ in range(self.times):
                signal.raise_signal(self.number)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("step", [2, 3, 7])
def test_signals_save_and_the_same_call_resumes(
    backend: Backend, tmp_path: Path, caplog, number, error, step, times
) -> None:
    whole, later, handlers = network(backend), network(backend), [signal.getsignal(n) for n in (2, 15)]
    expected = fit(whole, None)
    with pytest.raises(error) as raised:
        fit(network(backend), tmp_path, callbacks=Press(step, number, times), checkpoint_every="1 h")
    assert raised.value.args == (() if error is KeyboardInterrupt else (143,))
    assert [signal.getsignal(n) for n in (2, 15)] == handlers
    assert f"interrupted, saved in {tmp_path}: the same call of fit resumes from there" in caplog.text
    assert step <= dk.load(tmp_path, backend=backend).executable.state.step <= step + 1
    history = fit(later, tmp_path)
    assert bits(later) == bits(whole)
    assert history.history == expected.history


def test_sigterm_without_a_checkpoint_is_not_handled() -> None:
    heard, before = [], signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        fit(network(), None, callbacks=Press(2, signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [1]


def test_ctrl_c_within_validation_gives_it_up_and_loses_nothing(backend: Backend, tmp_path: Path) -> None:
    """F7: it was only handled at the end of the validation."""
    whole, later, calls = network(backend), network(backend), []
    expected = fit(whole, None)
    net = network(backend)
    executable, evaluate = net.executable, net.executable.evaluate

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the validation went on")
        return evaluate(*arguments)

    executable.evaluate = interrupted
    with pytest.raises(KeyboardInterrupt):
        fit(net, tmp_path)
    assert state(dk.load(tmp_path, backend=backend)) == (6, 1, 3)
    history = fit(later, tmp_path)
    assert bits(later) == bits(whole)
    assert history.history == expected.history


def test_ctrl_c_while_the_order_is_drawn_works_at_once(tmp_path: Path, monkeypatch) -> None:
    from dnnkit.training import stretches

    over, drawn = threading.Event(), []

    def slow(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        drawn.append(over.wait(300))

    monkeypatch.setattr(stretches, "MANY", 0)
    monkeypatch.setattr(stretches.Steps, "drawn", slow)
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, tmp_path)
    assert drawn == [], "it was heard when the order was there"
    over.set()
    assert dk.load(tmp_path).executable.state.step == 0


def test_ctrl_c_while_it_is_saved_waits_for_the_save(tmp_path: Path, monkeypatch) -> None:
    write, pressed = folders.write, []

    def pressing(path: Path, content: bytes) -> None:
        if not pressed and path.parent.name == "000004":
            pressed.append(path)
            signal.raise_signal(signal.SIGINT)
        write(path, content)

    monkeypatch.setattr(folders, "write", pressing)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), tmp_path)
    assert pressed
    assert dk.load(tmp_path).executable.state.step == 3


def test_an_interrupt_that_foreign_code_swallows_is_not_lost(tmp_path: Path, monkeypatch) -> None:
    """F8: where compiled code is read, an exception in a C callback is ignored."""
    net = network()
    load = net.executable.load

    def swallowing(*arguments):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return load(*arguments)

    net.executable.load = swallowing
    listener = Listener()
    with pytest.raises(KeyboardInterrupt):
        fit(net, None, callbacks=listener)
    assert listener.heard == []


def test_another_fit_is_rejected_before_its_folder_is_touched(tmp_path: Path) -> None:
    class Again(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            with pytest.raises(ConcurrentUse):
                fit(self.model, tmp_path / "run")

    fit(network(), None, callbacks=Again())
    assert os.listdir(tmp_path) == []


# -- kills -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("every", ["4 steps", "0.01 s"])
def test_killed_at_random_moments_nothing_is_lost(name: str, every: str) -> None:
    """`python -m benchmarks.kills` kills more."""
    outcome = kill(Job(name, 1, "float32", every, 2), 3, seed=1)
    assert outcome.kills >= 3
    assert outcome.wrong == []
