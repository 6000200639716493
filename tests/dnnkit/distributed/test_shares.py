"""Ranks that train on a stream read their rows of each batch only, and train like one process on the same files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DistributedError
from dnnkit.streams import Stream
from dnnkit.streams.formats import Columns
from dnnkit.streams.rows import ArrayRows
from tests.dnnkit.distributed.threads import Threads, run_ranks
from tests.dnnkit.streams.files import BATCH, BUFFER, CLASSES, ROWS, bits, data, network, write

WEIGHTS = np.random.default_rng(4).uniform(0.5, 2, ROWS)


def opener(folder: Path, **options: Any) -> Callable[[], Stream]:
    """Return a function that opens the same files again, as each rank does."""
    paths = write(folder)
    return lambda: dk.streams.open(*paths, buffer=BUFFER, block_rows=7, **options)


class Counting(ArrayRows):
    """Counts the rows that are read."""

    read_rows = 0

    def read(self, first: int, out: Any) -> None:
        self.read_rows += len(out)
        super().read(first, out)


def fitted(size: int, make: Any, given: Any, **options: Any) -> list[tuple[dk.Sequential, dk.History]]:
    """The network and the history of each rank; `given()` is its data."""
    parallel = {name: options.pop(name) for name in ("average_every",) if name in options}

    def work(ranks: Threads) -> tuple[dk.Sequential, dk.History]:
        net = make()
        x = given()
        own = {"batch_size": BATCH, "epochs": 2, "verbose": 0} | options
        return net, net.fit(*x if isinstance(x, tuple) else (x,), distributed=dk.DataParallel(ranks, **parallel), **own)

    found = run_ranks(size, work)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return found  # type: ignore[return-value]


def flat(net: dk.Sequential) -> np.ndarray:
    return np.concatenate([net.parameters[name].ravel() for name in net.parameters])


@pytest.mark.parametrize("weighed", [False, True])
def test_ranks_follow_one_process_on_the_same_files(backend: Backend, tmp_path: Path, weighed: bool) -> None:
    weight = {"sample_weight": WEIGHTS} if weighed else {}
    alone = network(backend, "float64")
    options: dict[str, Any] = {"class_weight": {0: 2.0}} if weighed else {"steps_per_epoch": 45}
    given, held_out = opener(tmp_path, **weight), opener(tmp_path)()
    wanted = alone.fit(given(), batch_size=BATCH, epochs=2, verbose=0, validation_data=held_out,
                       **options)  # fmt: skip
    kept: Any = None
    for size in (2, 4) if backend.name == "strict" else (1, 2, 3, 4):
        for net, history in fitted(size, lambda: network(backend, "float64"), given, validation_data=held_out,
                                   **options):  # fmt: skip
            np.testing.assert_allclose(flat(net), flat(alone), rtol=1e-9, atol=1e-12)
            kept = kept or (bits(net), history.history)
            assert bits(net) == kept[0], f"{size} ranks"
            assert history.history == kept[1], f"{size} ranks"
            for name, values in wanted.history.items():
                np.testing.assert_allclose(history[name], values, rtol=1e-9)


def test_each_rank_reads_its_share(tmp_path: Path) -> None:
    x, y = data()
    opens = list[Counting]()

    def given() -> Stream:
        rows = Counting(x, "x")
        opens.append(rows)
        return Stream(rows, ArrayRows(y, "y"), None, BUFFER, 7)

    fitted(4, network, given, epochs=5, batch_size=8)
    sampled = min(ROWS, BATCH)
    for rows in opens:
        assert rows.read_rows < sampled + 6 * (ROWS / 4 + 8)  # one epoch is begun ahead; a few rows are in other blocks


@pytest.mark.extras
def test_each_rank_decodes_its_share_of_the_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    from dnnkit.streams import arrow

    monkeypatch.setattr(arrow, "DECODED", 1)  # row by row: by default as many as all that are here
    x, y = data()
    columns = {f"x{number}": column for number, column in enumerate(x.T)}
    parquet.write_table(pa.table({**columns, "label": y}), tmp_path / "t.parquet", row_group_size=6)
    opens = list[Stream]()

    class Counted(arrow.ParquetRows):
        rows = 0

        def _decoded(self, batch: Any) -> Any:
            self.rows += batch.num_rows
            return super()._decoded(batch)

    def given() -> Stream:
        stream = Stream(
            Counted(tmp_path / "t.parquet", Columns(without=("label",))), ArrayRows(y, "y"), None, BUFFER, None
        )
        opens.append(stream)
        return stream

    (net, _), *_ = fitted(4, network, given, epochs=3)
    alone = network()
    alone.fit(given(), batch_size=BATCH, epochs=3, verbose=0)
    np.testing.assert_allclose(flat(net), flat(alone), rtol=1e-3)
    decoded = [stream.x.rows for stream in opens]  # type: ignore[attr-defined]
    assert max(decoded[:4]) < 0.35 * decoded[4]


@pytest.mark.parametrize("step", [3, 43])  # in the first chunk of the first epoch, in the third of the second
def test_a_run_resumes_in_the_middle_of_a_chunk_with_other_ranks(tmp_path: Path, step: int) -> None:
    given = opener(tmp_path, sample_weight=WEIGHTS)
    ((whole, wanted), *_) = fitted(2, network, given)
    folder = tmp_path / "run"
    fitted(4, network, given, epochs=None, steps=step, checkpoint=folder)
    for net, history in fitted(3, network, given, epochs=None, steps=66, checkpoint=folder):
        assert bits(net) == bits(whole)
        assert history.history == wanted.history
    alone = network()
    alone.fit(given(), batch_size=BATCH, verbose=0, steps=66, checkpoint=folder)
    assert bits(alone) == bits(whole)


def test_local_steps_on_a_stream_are_those_on_its_rows_in_memory(tmp_path: Path) -> None:
    options: dict[str, Any] = {"average_every": 5, "shuffle": False}
    in_memory = fitted(2, network, data, **options)
    streamed = fitted(2, network, opener(tmp_path), **options)
    for (net, history), (expected, wanted) in zip(streamed, in_memory, strict=True):
        assert bits(net) == bits(expected)
        for name, values in wanted.history.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-6)


def test_an_error_in_one_rank_s_rows_is_one_error_with_its_place(tmp_path: Path) -> None:
    x, y = data()
    x[401, 5] = np.nan

    def work(ranks: Threads) -> Any:
        stream = dk.streams.open(x, y, buffer=BUFFER, block_rows=7)
        return network().fit(stream, batch_size=BATCH, verbose=0, distributed=dk.DataParallel(ranks))

    found = run_ranks(3, work)
    ((rank, error),) = [(rank, each) for rank, each in enumerate(found) if isinstance(each, DataError)]
    assert str(error) == "x, row 401: x has NaN or infinite numbers (as float32): remove or fill them before training"
    for each in found[:rank] + found[rank + 1 :]:
        assert isinstance(each, DistributedError)
        assert str(error) in str(each)


def test_batches_of_an_iterator_are_rejected_with_the_cure() -> None:
    def batches() -> Any:
        while True:
            yield np.zeros((4, 2)), np.zeros(4, int)

    def work(ranks: Threads) -> Any:
        net = dk.Sequential([dk.Dense(CLASSES, activation="softmax")], seed=0)
        net.compile("adam", "sparse_categorical_crossentropy")
        return net.fit(batches(), steps_per_epoch=3, verbose=0, distributed=dk.DataParallel(ranks))

    for error in run_ranks(2, work):
        assert isinstance(error, ConfigurationError | DistributedError)
        assert "write the batches to files" in str(error)
