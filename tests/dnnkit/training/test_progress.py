"""Progress: one line per epoch, a live bar, or silence."""

import re

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.training.progress import LineProgress, LiveProgress, SparseProgress, make_progress

DATA = np.random.default_rng(1).normal(size=(40, 3))
LABELS = (DATA[:, 0] > 0).astype(int)


def fit(verbose, **options) -> dk.History:
    net = dk.Sequential([dk.Dense(2, activation="softmax")], seed=0)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net.fit(DATA, LABELS, batch_size=8, verbose=verbose, **options)


def numbers(history: dk.History, epoch: int) -> str:
    return " - ".join(f"{name}: {values[epoch]:.4f}" for name, values in history.history.items())


def test_lines_are_one_per_epoch_with_the_numbers_of_the_history(backend, capsys):
    history = fit(2, epochs=3, validation_split=0.25)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        shown = re.escape(numbers(history, epoch))
        assert re.fullmatch(rf"Epoch {epoch + 1}/3 - [\d.: s]+ - [\d.]+ µs/sample - {shown}", line)


def test_epochs_are_numbered_to_the_end_of_the_whole_training(capsys):
    fit(2, epochs=7, initial_epoch=5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 6/7", "Epoch 7/7"]


def test_auto_is_lines_where_output_is_no_terminal(capsys):
    fit("auto", epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "Epoch 2/2"]


@pytest.mark.parametrize("epochs", [60, 120])
def test_many_fast_epochs_share_lines(capsys, epochs, monkeypatch):
    monkeypatch.setattr("dnnkit.training.progress.LONGEST_SILENCE", 1e9)
    history = fit("auto", epochs=epochs)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == [
        f"Epoch {number}/{epochs}" for number in (1, *range(epochs // 6, epochs + 1, epochs // 6))
    ]
    assert lines[-1].endswith(numbers(history, -1))


def test_epochs_a_second_after_the_last_line_and_the_last_have_lines(capsys, monkeypatch):
    now = 100.0
    monkeypatch.setattr("dnnkit.training.progress.perf_counter", lambda: now)
    progress = make_progress("auto", 100)
    for epoch, seconds in enumerate((0.1, 0.1, 3600.0, 0.1, 0.1, 0.1)):
        progress.begin_epoch(epoch, 0, 10, 1000)
        now += seconds
        progress.end_epoch({"loss": 0.5}, seconds)
        if epoch == 4:
            progress.print_line("words")
    progress.close()
    told = [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["Epoch 1/100", "Epoch 3/100", "Epoch 5/100", "words", "Epoch 6/100"]


def test_on_a_terminal_a_slow_epoch_of_many_has_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes pytest's output for a terminal
    monkeypatch.setenv("TERM", "xterm")
    now = 100.0
    monkeypatch.setattr("dnnkit.training.progress.perf_counter", lambda: now)
    progress = SparseProgress(100, has_bar=True)
    for epoch in range(2):
        progress.begin_epoch(epoch, 0, 10, 1000)
        progress.advance(1, {"loss": 0.75})
        now += 0.5 * epoch
        progress.advance(2, {"loss": 0.5})
        progress.end_epoch({"loss": 0.25}, 0.5)
    shown = capsys.readouterr().out
    assert "Epoch 1/100 - 0.50 s" in shown
    assert "Epoch 1/100 - ETA" not in shown
    assert "Epoch 2/100 - ETA 2.00 s" in re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown)
    progress.close()


def test_without_rich_a_bar_is_lines(capsys, monkeypatch):
    monkeypatch.setattr("dnnkit.training.progress.find_spec", lambda name: None)
    fit(1, epochs=2)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_zero_is_silent(capsys):
    fit(0, epochs=2, validation_split=0.25)
    assert capsys.readouterr() == ("", "")


def test_the_live_bar_leaves_the_epoch_and_its_numbers(backend, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    history = fit(1, epochs=2, validation_split=0.25)
    shown = capsys.readouterr().out
    for epoch in range(2):
        assert f"Epoch {epoch + 1}/2" in shown
        assert re.search(rf"4/4 - [\d.: s]+ - [\d.]+ µs/sample - {re.escape(numbers(history, epoch))}", shown)


def test_the_live_bar_changes_nothing():
    assert fit(1, epochs=3).history == fit(0, epochs=3).history


@pytest.mark.parametrize("verbose", [7, -1, "loud", None])
def test_another_verbosity_is_an_error(verbose):
    with pytest.raises(ConfigurationError, match=r"expected 'auto', 0, 1 or 2"):
        fit(verbose)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.123, "0.12 s"),
        (9.5, "9.50 s"),
        (12.3, "12 s"),
        (75, "1:15"),
        (3600, "1:00:00"),
        (3725.9, "1:02:06"),
        (59.7, "1:00"),
    ],
)
def test_times_are_written_as_people_say_them(capsys, seconds, words):
    line = LineProgress(epochs=3)
    line.begin_epoch(1, 0, 10, 1000)
    line.end_epoch({"loss": 0.25}, seconds)
    assert capsys.readouterr().out == f"Epoch 2/3 - {words} - {1000 * seconds:.0f} µs/sample - loss: 0.2500\n"


def test_a_line_breaks_between_its_parts_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    line = LineProgress(epochs=1)
    line.begin_epoch(0, 0, 10, 1000)
    logs = {"loss": 0.25, "accuracy": 0.5, "val_loss": 0.125, "val_accuracy": 0.75}
    line.end_epoch(logs, 0.06)
    assert len(capsys.readouterr().out.splitlines()) == 1
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    line.end_epoch(logs, 0.06)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 1/1 - 0.06 s - 60 µs/sample - loss: 0.2500",
        "  accuracy: 0.5000 - val_loss: 0.1250 - val_accuracy: 0.7500",
    ]


def test_a_resumed_epoch_counts_the_samples_that_it_shows(capsys):
    """Steps 4 to 9 of 10, 100 samples each: 600 samples."""
    line = LineProgress(epochs=1)
    line.begin_epoch(0, 4, 10, 1000)
    line.end_epoch({"loss": 0.25}, 0.06)
    assert capsys.readouterr().out == "Epoch 1/1 - 0.06 s - 100 µs/sample - loss: 0.2500\n"


def test_the_live_bar_of_a_short_epoch_ends_where_it_ends(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    bar = LiveProgress(epochs=2)
    bar.begin_epoch(1, 1, 3, 30)
    bar.advance(2, {"loss": 0.5})
    bar.end_epoch({"loss": 0.25}, 0.002)
    shown = capsys.readouterr().out
    assert "Epoch 2/2" in shown
    assert "3/3 - 0.00 s - 100 µs/sample - loss: 0.2500" in shown
