"""CSVLogger: a table that other programs read, row by row."""

import csv
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import DnnkitError

DATA = np.random.default_rng(1).normal(size=(20, 3))
TARGETS = (DATA[:, :1] > 0).astype(float)


def fit(*callbacks: dk.Callback, epochs: int = 3, initial_epoch: int = 0) -> dk.History:
    net = dk.Sequential([dk.Dense(1, activation="sigmoid")], seed=0)
    net.compile("adam", "binary_crossentropy", ["accuracy"])
    return net.fit(
        DATA, TARGETS, epochs=epochs, initial_epoch=initial_epoch, validation_split=0.2, callbacks=callbacks, verbose=0
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_epoch_is_a_row_with_the_numbers_of_the_history(backend, tmp_path):
    history = fit(dk.CSVLogger(tmp_path / "log.csv"))
    rows = read(tmp_path / "log.csv")
    assert list(rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    for name, values in history.history.items():
        assert [float(row[name]) for row in rows] == values


def test_a_row_is_on_disk_when_its_epoch_ends(tmp_path):
    seen = []

    class Look(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            seen.append(len(read(tmp_path / "log.csv")))

    fit(dk.CSVLogger(str(tmp_path / "log.csv")), Look())
    assert seen == [1, 2, 3]


def test_a_new_run_replaces_the_file(tmp_path):
    fit(dk.CSVLogger(tmp_path / "log.csv"))
    fit(dk.CSVLogger(tmp_path / "log.csv"), epochs=2)
    assert [row["epoch"] for row in read(tmp_path / "log.csv")] == ["0", "1"]


@pytest.mark.parametrize("start", [None, ""], ids=["no file", "empty file"])
def test_append_adds_rows_under_one_heading(tmp_path, start):
    path = tmp_path / "log.csv"
    if start is not None:
        path.write_text(start)
    logger = dk.CSVLogger(path, append=True)
    fit(logger, epochs=2)
    fit(logger, epochs=4, initial_epoch=2)
    assert [row["epoch"] for row in read(path)] == ["0", "1", "2", "3"]


def test_a_path_that_cannot_be_written_is_an_error_of_the_family(tmp_path):
    with pytest.raises(DnnkitError, match="missing"):
        fit(dk.CSVLogger(tmp_path / "missing" / "log.csv"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_reported_and_training_continues(caplog):
    history = fit(dk.CSVLogger("/dev/full"))
    assert history.epoch == [0, 1, 2]
    assert "CSVLogger cannot write /dev/full, training continues: No space left on device" in caplog.text


def test_another_separator(tmp_path):
    history = fit(dk.CSVLogger(tmp_path / "log.csv", ";"), epochs=1)
    heading, row = (tmp_path / "log.csv").read_text().splitlines()
    assert heading == "epoch;loss;accuracy;val_loss;val_accuracy"
    assert [float(value) for value in row.split(";")[1:]] == [values[0] for values in history.history.values()]


@pytest.mark.parametrize("separator", ["", "::", '"', "\n", 3])
def test_an_invalid_separator_is_rejected(separator, tmp_path):
    with pytest.raises(DnnkitError, match=r"separator is .*: expected one character"):
        dk.CSVLogger(tmp_path / "log.csv", separator)


class Sometimes(dk.Callback):
    """Measures something from the second epoch on, as validation every other epoch does."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch % 2:
            logs["score"] = float(epoch)


@pytest.mark.parametrize("append", [False, True])
def test_a_measure_that_appears_later_has_a_column(append, tmp_path):
    path = tmp_path / "log.csv"
    if append:
        path.write_text("epoch,loss\n7,0.5")  # and no newline at the end
    fit(Sometimes(), dk.CSVLogger(path, append=append), epochs=3)
    rows = read(path)
    assert [row["epoch"] for row in rows] == ["7"] * append + ["0", "1", "2"]
    assert [row["score"] for row in rows] == [""] * append + ["", "1.0", ""]
    assert all(row["loss"] for row in rows)


def test_a_file_that_is_not_a_table_is_reported(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DnnkitError, match="not a table that CSVLogger can append to"):
        fit(dk.CSVLogger(tmp_path / "log.csv", append=True))
