"""Training on files in chunks equals training on the same rows in the same order, and can resume from anywhere."""

import os
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError
from dnnkit.streams.order import EpochOrder
from tests.dnnkit.streams.files import BATCH, BUFFER, CLASSES, FEATURES, ROWS, bits, data, network, opened, write


def weights() -> np.ndarray:
    return np.random.default_rng(4).uniform(0.5, 2, ROWS)


@pytest.mark.parametrize(("dtype", "weighed", "steps_per_epoch"), [
    ("float32", False, None), ("uint8", False, 15), ("float64", True, 45),
])  # fmt: skip
def test_rows_in_their_order_train_as_in_memory(
    backend: Backend, tmp_path: Path, dtype: str, weighed: bool, steps_per_epoch: int | None
) -> None:
    expected, net = network(backend), network(backend)
    weight = weights() if weighed else None
    stream = opened(tmp_path, dtype, **({"sample_weight": weight} if weighed else {}))
    options: dict[str, Any] = {
        "batch_size": BATCH, "epochs": 2, "steps_per_epoch": steps_per_epoch, "shuffle": False, "verbose": 0,
    }  # fmt: skip
    in_memory = expected.fit(*data(dtype), sample_weight=weight, **options)
    streamed = net.fit(stream, **options)
    assert bits(net) == bits(expected)
    if weighed:  # sums of weights are added in another order
        for name, values in in_memory.history.items():
            np.testing.assert_allclose(streamed[name], values, rtol=1e-12)
    else:
        assert streamed.history == in_memory.history


def test_shuffled_rows_train_as_an_array_in_that_order(backend: Backend, tmp_path: Path) -> None:
    expected, net, stream = network(backend), network(backend), opened(tmp_path)
    net.fit(stream, batch_size=BATCH, epochs=2, verbose=0)
    x, y = data()
    size = 64
    for epoch in range(2):
        order = EpochOrder(ROWS, None, 7, ROWS, True, net.seed, epoch)
        shown = []
        for chunk in range(8):
            last = ROWS if chunk == 7 else (chunk + 1) * size
            rows = np.concatenate([np.arange(row, row + n) for row, n in order.spans(chunk * size, last)])
            shown.append(rows[order.mixed(chunk, len(rows), BATCH)])
        rows = np.concatenate(shown)
        assert sorted(rows) == list(range(ROWS))
        expected.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0)
    assert bits(net) == bits(expected)


def test_data_that_fit_into_the_buffer_train_as_in_memory(backend: Backend, tmp_path: Path) -> None:
    expected, net = network(backend), network(backend)
    x, y = write(tmp_path)
    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "validation_split": 0.2, "verbose": 0}
    assert net.fit(x, y, **options).history == expected.fit(*data(), **options).history
    assert bits(net) == bits(expected)


def test_a_share_at_the_end_is_held_out(backend: Backend, tmp_path: Path) -> None:
    expected, net, cut = network(backend), network(backend), int(ROWS * 0.9)
    x, y = data()
    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "verbose": 0}
    kept = dk.streams.open(x[:cut], y[:cut], buffer=BUFFER, block_rows=7)
    in_two = expected.fit(kept, validation_data=(x[cut:], y[cut:]), **options)
    split = net.fit(opened(tmp_path), validation_split=0.1, **options)
    assert bits(net) == bits(expected)
    assert split.history == in_two.history
    with pytest.raises(DataError, match=r"validation_split=0\.999 of 523 samples leaves one side empty"):
        net.fit(opened(tmp_path), validation_split=0.999, verbose=0)


class PressCtrlCAt(dk.Callback):
    """Send the signal once this many steps have run."""

    def __init__(self, step: int) -> None:
        self.step, self.pressed = step, False

    def on_batch_end(self, batch: int, logs: Any) -> None:
        if self.model.executable.state.step == self.step and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("step", [3, 43])  # in the first chunk of the first epoch, in the third of the second
def test_a_fit_resumes_in_the_middle_of_a_chunk_bit_for_bit(backend: Backend, tmp_path: Path, step: int) -> None:
    stream = opened(tmp_path, sample_weight=weights())
    options: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "verbose": 0}
    whole, net, later = network(backend), network(backend), network(backend)
    expected = whole.fit(stream, **options)
    with pytest.raises(KeyboardInterrupt):
        net.fit(stream, checkpoint=tmp_path / "run", callbacks=PressCtrlCAt(step), **options)
    history = later.fit(opened(tmp_path, sample_weight=weights()), checkpoint=tmp_path / "run", **options)
    assert bits(later) == bits(whole)
    assert history.history == expected.history
    with pytest.raises(dk.errors.CheckpointError, match="rows in the buffer"):
        network(backend).fit(
            opened(tmp_path, sample_weight=weights(), buffer=2 * BUFFER), checkpoint=tmp_path / "run", **options
        )


def test_evaluate_predict_and_validation_read_in_parts(backend: Backend, tmp_path: Path) -> None:
    net, stream, (x, y) = network(backend), opened(tmp_path), data()
    history = net.fit(stream, batch_size=BATCH, epochs=1, verbose=0, validation_data=stream)
    expected = net.evaluate(x, y)
    for found in (net.evaluate(stream), {name: history[f"val_{name}"][0] for name in ("loss", "accuracy")}):
        assert dict(found) == pytest.approx(dict(expected), rel=1e-6)
    np.testing.assert_array_equal(net.predict(stream, batch_size=64), net.predict(x, batch_size=64))


class LoseItAt(dk.Callback):
    """A bias that is not a number, within this many steps."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_begin(self, batch: int, logs: Any) -> None:
        if batch == self.step:
            self.model.executable.write_parameter("dense/bias", np.full(16, np.nan, np.float32))


def test_an_epoch_that_loses_its_loss_knows_the_step(backend: Backend, tmp_path: Path) -> None:
    net = network(backend)
    with pytest.warns(dk.errors.TrainingWarning, match="NaN|not a number"):
        net.fit(opened(tmp_path), batch_size=BATCH, callbacks=LoseItAt(11), verbose=0)
    assert net.executable.totals().nan_step == 11


def test_memory_is_bounded_by_the_buffer(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1000, 2500), np.float32))
    np.save(tmp_path / "y.npy", np.zeros(1000, np.int64))
    stream, net = dk.streams.open(tmp_path / "x.npy", tmp_path / "y.npy", buffer=1), network("numpy")
    net.fit(stream, batch_size=BATCH, verbose=0)
    tracemalloc.start()
    try:
        net.fit(stream, batch_size=BATCH, verbose=0)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 << 20, f"{most:,} bytes, of a file of 10 MB"


def test_progress_shows_rows_and_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network("numpy").fit(opened(tmp_path), batch_size=BATCH, verbose=2)
    assert f"{ROWS:,} rows, 29.3 kB" in capsys.readouterr().out


def test_a_layer_finds_its_statistics_in_a_sample(tmp_path: Path) -> None:
    net = dk.Sequential([dk.Normalization(), dk.Dense(CLASSES, activation="softmax")], seed=0, backend="numpy")
    net.compile("sgd", "sparse_categorical_crossentropy")
    net.fit(opened(tmp_path), batch_size=BATCH, verbose=0)
    x, _ = data()
    np.testing.assert_allclose(net.parameters["normalization/mean"], x.mean(axis=0), atol=0.5)


def cut(folder: Path) -> None:
    with (folder / "x-1.npy").open("r+b") as file:
        file.truncate(128 + 48 * 100)


def other_dtype(folder: Path) -> None:
    np.save(folder / "x-1.npy", np.load(folder / "x-1.npy").astype("float64"))


def other_shape(folder: Path) -> None:
    np.save(folder / "x-1.npy", np.load(folder / "x-1.npy")[:, :-1])


def fewer(folder: Path) -> None:
    np.save(folder / "y-1.npy", np.load(folder / "y-1.npy")[:-1])


def a_label(folder: Path) -> None:
    part = np.load(folder / "y-2.npy")
    part[77] = CLASSES
    np.save(folder / "y-2.npy", part)


def not_a_number(folder: Path) -> None:
    part = np.load(folder / "x-1.npy")
    part[23, 5] = np.nan
    np.save(folder / "x-1.npy", part)


def text(folder: Path) -> None:
    np.save(folder / "x-1.npy", np.array(["a"] * 174))


@pytest.mark.parametrize(("spoil", "error", "message"), [
    (not_a_number, DataError, r"x-1\.npy, row 23: x has NaN or infinite numbers \(as float32\)"),
    (a_label, DataError, r"x-2\.npy, row 77: y has labels from 4 to 4: expected 0 to 3"),
    (cut, DataError, r"x-1\.npy ends early, in row 100: expected 174 rows"),
    (other_dtype, DataError, r"x-1\.npy has rows of shape \(12,\) and dtype float64, .*x-0\.npy of"),
    (other_shape, DataError, r"x-1\.npy has rows of shape \(11,\)"),
    (fewer, ShapeError, r"x has 523 samples in x but y has 522 in y"),
    (text, DataError, r"x-1\.npy is of shape \(174,\) and dtype <U1: expected one array of numbers"),
])  # fmt: skip
def test_errors_name_the_shard_and_the_row(tmp_path: Path, spoil: Any, error: type[DnnkitError], message: str) -> None:
    x, y = write(tmp_path)
    spoil(tmp_path)
    net = network("numpy")
    with pytest.raises(error, match=message):
        net.fit(dk.streams.open(x, y, buffer=BUFFER, block_rows=7), batch_size=BATCH, verbose=0)


@pytest.mark.parametrize(("options", "message"), [
    ({"shuffle": "with_replacement"}, "draws from all rows"),
    ({"y": np.zeros(ROWS)}, "includes its targets and weights"),
    ({"batch_size": 200}, "more than the buffer of"),
])  # fmt: skip
def test_options_that_need_all_rows_at_once_are_rejected(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        network("numpy").fit(opened(tmp_path), verbose=0, **{"batch_size": BATCH, **options})
    net = network("numpy")
    net.compile(dk.LBFGS(), "sparse_categorical_crossentropy")
    with pytest.raises(ConfigurationError, match="uses all samples in each step"):
        net.fit(opened(tmp_path), verbose=0)


def test_networks_that_train_together_have_their_data_in_memory(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="only by the fit of one network"):
        dk.fit_many([network("numpy")], *data(), validation_data=(opened(tmp_path), None), verbose=0)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the page cache cannot be asked to forget a file")
def test_rows_that_are_not_in_the_page_cache_are_read(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(3000, 784)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    stream = dk.streams.open(tmp_path / "x.npy")
    with (tmp_path / "x.npy").open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    np.testing.assert_array_equal(stream.sample(300)[0][:4], x[:4])  # some blocks are in the cache now
    np.testing.assert_array_equal(stream.read_all()[0], x)


def test_memory_maps_and_a_file_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    stream = opened(tmp_path)
    x, y = (np.load(tmp_path / f"{name}-0.npy", mmap_mode="r") for name in "xy")
    mapped = dk.streams.open(x, y, buffer=BUFFER / 2)
    assert mapped.x.shape == (FEATURES,)
    network("numpy").fit(mapped, batch_size=BATCH, verbose=0)
    cut(tmp_path)
    with pytest.raises(DataError, match=r"x-1\.npy ends early, in row 100"):
        network("numpy").fit(stream, batch_size=BATCH, verbose=0)


class At(dk.Callback):
    """Do something to the files before a step."""

    def __init__(self, step: int, act: Any) -> None:
        self.step, self.act = step, act

    def on_batch_begin(self, batch: int, logs: Any) -> None:
        if batch == self.step:
            self.act()


def spoil(path: Path) -> None:
    """Write NaN to the last number of a shard of samples, in place."""
    part = np.load(path, mmap_mode="r+")
    part[-1, -1] = np.nan
    part.flush()


@pytest.mark.parametrize(("act", "message"), [
    (lambda path: os.truncate(path, 128 + 48 * 100), r"x-2\.npy ends early, in row 100: expected 174 rows"),
    (spoil, r"x-2\.npy, row 173: x has NaN or infinite numbers \(as float32\)"),
    (os.unlink, r"x-2\.npy can no longer be read: No such file"),
])  # fmt: skip
def test_a_file_that_changes_while_it_is_trained_on_is_an_error(tmp_path: Path, act: Any, message: str) -> None:
    stream, net = opened(tmp_path), network("numpy")
    change = At(5, lambda: act(tmp_path / "x-2.npy"))
    with pytest.raises(DataError, match=message):
        net.fit(stream, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=change)
    assert net.executable.state.step >= ROWS // 2 // BATCH  # everything before was trained on
