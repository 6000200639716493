"""What stays bitwise identical under which change: a test per row of the table in docs/reproducibility.md.

    python -m tests.dnnkit.test_reproducibility BACKEND DTYPE FILE     # trains as `trained`, for another process

"Within rounding" is relative to the largest number of an array, as for sums in another order: Adam divides small
gradients by their own size, so single numbers may differ by more than their own last digits.
"""

import copy
import os
import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.kernels._target.processor import FUSED
from tests import processes
from tests.backends.numba_backend.machines import usual
from tests.backends.numba_backend.partitions import busy

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reproducibility.md"
WORDS = {"equal", "rounding", "not promised", "-"}
BACKENDS, DTYPES = ("numba", "numpy"), ("float32", "float64")
TRAINED = {"float32": 5e-3, "float64": 1e-10}
"""Relative tolerance of parameters after some steps."""
ASKED = {"float32": 2e-5, "float64": 1e-13}
"""Relative tolerance of predictions with the same parameters."""

Numbers = dict[str, np.ndarray]


@pytest.fixture(params=BACKENDS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def samples(rows: int = 90, features: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 samples and the class of each."""
    numbers = np.arange(rows * features)
    x = (numbers * numbers // 7 % 251).astype(np.uint8).reshape(rows, features)
    return x, x[:, :3].argmax(axis=1)


def network(name: str, dtype: Any, threads: int | None = 1, hidden: int = 40) -> dk.Sequential:
    layers = [dk.Rescaling(1 / 250), dk.Dense(hidden, activation="relu"), dk.Dropout(0.2)]
    last = [dk.Dense(20, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential([*layers, *last], backend=name, dtype=dtype, seed=11, num_threads=threads)
    net.compile(dk.Adam(0.01, global_clipnorm=1.0), "sparse_categorical_crossentropy", ["accuracy"])
    return net


def trained(name: str, dtype: Any, threads: int | None = 1, hidden: int = 40) -> dk.Sequential:
    net = network(name, dtype, threads, hidden)
    fit(net)
    return net


def fit(net: dk.Sequential, **how: Any) -> None:
    net.fit(*samples(), **{"batch_size": 16, "epochs": 2, "verbose": 0, **how})


def numbers(net: dk.Sequential) -> Numbers:
    """Return all results of training: parameters, optimizer state, measurements, and position."""
    snapshot = net.executable.snapshot()
    history = {name: np.array(values) for name, values in net.history.history.items()}
    state = {"step": np.array(snapshot.state.step), "epoch": np.array(snapshot.state.epoch)}
    return {**snapshot.parameters, **snapshot.slots, **history, **state}


def assert_equal(first: Numbers, second: Numbers) -> None:
    np.testing.assert_equal(second, first)


def assert_near(first: Numbers, second: Numbers, tolerance: float) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        scale = float(np.abs(value).max()) or 1.0
        np.testing.assert_allclose(second[name], value, rtol=0, atol=tolerance * scale, err_msg=name)


def elsewhere(name: str, dtype: str, file: Path, **variables: str) -> Numbers:
    """Train in another process."""
    command = [sys.executable, "-m", "tests.dnnkit.test_reproducibility", name, dtype, str(file)]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT)}
    result = processes.run(command, cwd=ROOT, env=environment)
    assert result.returncode == 0, result.stderr
    with np.load(file) as found:
        return dict(found)


# -- the same again --------------------------------------------------------------------------------------------------


def test_again_in_the_same_process(name: str, dtype: Any) -> None:
    first = trained(name, dtype)
    other = network(name, dtype, hidden=7)
    fit(other, epochs=1)  # another network in between changes nothing
    again = trained(name, dtype)
    assert_equal(numbers(first), numbers(again))
    x, labels = samples()
    np.testing.assert_array_equal(first.predict(x), again.predict(x))
    assert first.evaluate(x, labels) == again.evaluate(x, labels)


def test_again_in_a_new_process(name: str, dtype: Any, tmp_path: Path) -> None:
    assert_equal(numbers(trained(name, dtype)), elsewhere(name, dtype, tmp_path / "there.npz"))


def test_on_a_busy_machine(name: str, dtype: Any) -> None:
    first = trained(name, dtype, threads=2, hidden=700)
    with busy(4):
        assert_equal(numbers(first), numbers(trained(name, dtype, threads=2, hidden=700)))


def test_in_one_call_or_in_several(name: str, dtype: Any) -> None:
    net = network(name, dtype)
    for _ in range(2):
        fit(net, epochs=1)
    assert_equal(numbers(net), numbers(trained(name, dtype)))


def test_whether_someone_watches(name: str, dtype: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Watch(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            self.seen = logs

    net = network(name, dtype)
    fit(net, callbacks=[Watch()], validation_data=samples(30), verbose=1)
    found, expected = numbers(net), numbers(trained(name, dtype))
    assert_equal({key: found[key] for key in expected}, expected)
    assert capsys.readouterr().out


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.int64),
        np.asfortranarray,
        lambda x: x.tolist(),
        lambda x: np.repeat(x, 2, axis=0)[::2],
    ],
    ids=["float32", "float64", "int64", "by columns", "lists", "strided"],
)
def test_how_the_same_numbers_are_given(name: str, dtype: Any, given: Callable[[np.ndarray], Any]) -> None:
    x, labels = samples()
    net, expected = network(name, dtype), trained(name, dtype)
    net.fit(given(x), labels, batch_size=16, epochs=2, verbose=0)
    assert_equal(numbers(net), numbers(expected))
    np.testing.assert_array_equal(net.predict(given(x)), expected.predict(x))


# -- threads, partition, machine -------------------------------------------------------------------------------------


def test_threads_at_one_partition_numba(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_PARTITION", "units/2")
    first = trained("numba", dtype)
    for threads in (2, 3, None):
        assert_equal(numbers(first), numbers(trained("numba", dtype, threads)))


def test_threads_numpy(dtype: Any) -> None:
    """Large enough that the BLAS divides a product."""
    results = [numbers(trained("numpy", dtype, threads, hidden=700)) for threads in (1, 2)]
    assert_near(*results, TRAINED[dtype])
    assert_equal(results[1], numbers(trained("numpy", dtype, 2, hidden=700)))


@pytest.mark.parametrize("partition", ["units/2", "rows/2", "units/3", "rows/3"])
def test_the_partition(name: str, dtype: Any, partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trained(name, dtype)
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    second = trained(name, dtype)
    if name == "numpy":
        assert_equal(numbers(first), numbers(second))
    else:
        assert second.history.plan.details["partition"] == partition
        assert_near(numbers(first), numbers(second), TRAINED[dtype])
        assert_equal(numbers(second), numbers(trained(name, dtype)))


def test_threads_numba(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number chooses another partition, the same number the same."""
    # as if the machine had this many processors and cores
    monkeypatch.setattr(cost_model, "usable", lambda asked: asked)
    monkeypatch.setattr(cost_model, "machine", usual)
    nets = [trained("numba", dtype, threads, hidden=700) for threads in (1, 2, 3, 2)]
    assert [net.history.plan.details["partition"].rpartition("/")[2] for net in nets] == ["1", "2", "3", "2"]
    first, second, third, again = (numbers(net) for net in nets)
    assert_near(first, second, TRAINED[dtype])
    assert_near(first, third, TRAINED[dtype])
    assert_equal(second, again)


def test_another_blas(name: str, dtype: Any, tmp_path: Path) -> None:
    """OpenBLAS's kernels for an old processor stand for another machine."""
    there = elsewhere(name, dtype, tmp_path / "there.npz", OPENBLAS_CORETYPE="Nehalem")
    assert_near(numbers(trained(name, dtype)), there, TRAINED[dtype])


# -- predictions -----------------------------------------------------------------------------------------------------

PIECES = (1, 3, 64, 65)


def in_pieces(net: dk.Sequential, x: np.ndarray) -> list[np.ndarray]:
    """Predict the same rows in other ways."""
    asked = [net.predict(x, batch_size=size) for size in PIECES]
    for size in PIECES:
        asked.append(np.concatenate([net.predict(x[start : start + size]) for start in range(0, len(x), size)]))
    return [*asked, net.predict(np.tile(x, (9, 1)))[: len(x)]]


@pytest.mark.parametrize("hidden", [40, 3000], ids=["small", "large"])
def test_the_batch_in_which_a_row_is_predicted(name: str, dtype: Any, hidden: int) -> None:
    net, x = network(name, dtype, threads=None, hidden=hidden), samples(200)[0]
    whole = net.predict(x)
    for given in (x, x.astype(dtype)):
        for found in in_pieces(net, given):
            np.testing.assert_allclose(found, whole, rtol=0, atol=ASKED[dtype])


@pytest.mark.skipif(not FUSED, reason="this processor has no fused multiplication, so the BLAS has all products")
def test_the_batch_in_which_a_row_is_predicted_by_a_small_network_numba(dtype: Any) -> None:
    """Its products are computed in tiles, row by row in the same order."""
    net, x = network("numba", dtype, threads=None), samples(200)[0]
    whole = net.predict(x)
    for given in (x, x.astype(dtype)):
        for found in in_pieces(net, given):
            np.testing.assert_array_equal(found, whole)


def test_the_batch_size_of_evaluate(name: str, dtype: Any) -> None:
    net, (x, labels) = trained(name, dtype), samples()
    whole = net.evaluate(x, labels)
    for size in PIECES:
        found = net.evaluate(x, labels, batch_size=size)
        assert found["loss"] == pytest.approx(whole["loss"], rel=ASKED[dtype])
        assert found["accuracy"] == whole["accuracy"]


# -- other places ----------------------------------------------------------------------------------------------------


def test_another_backend(dtype: Any) -> None:
    first, second = (trained(name, dtype) for name in BACKENDS)
    assert_near(numbers(first), numbers(second), TRAINED[dtype])
    np.testing.assert_equal(network("numba", dtype).layers, network("numpy", dtype).layers)
    for net in (first, second):
        assert_equal(net.initial_parameters(), first.initial_parameters())


def test_another_dtype(name: str) -> None:
    assert_near(numbers(trained(name, "float64")), numbers(trained(name, "float32")), TRAINED["float32"])


def saved(net: dk.Sequential, folder: Path) -> dk.Sequential:
    net.save(folder)
    return dk.load(folder, backend=net.backend.name)


def goes_on_as(net: dk.Sequential, other: dk.Sequential) -> None:
    x = samples()[0]
    np.testing.assert_array_equal(net.predict(x), other.predict(x))
    for each in (net, other):
        fit(each)
    assert_equal(numbers(net), numbers(other))


@pytest.mark.parametrize("partition", ["units/1", "units/2"])
def test_saved_loaded_and_trained_on(
    name: str, dtype: Any, partition: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the partition that it was trained with, which the save records."""
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    net = trained(name, dtype, threads=2)
    monkeypatch.delenv("DNNKIT_PARTITION")
    goes_on_as(net, saved(net, tmp_path / "run"))


@pytest.mark.parametrize("way", [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy], ids=["pickle", "copy"])
def test_pickled_or_copied_and_trained_on(name: str, dtype: Any, way: Callable[[dk.Sequential], Any]) -> None:
    net = trained(name, dtype)
    goes_on_as(net, way(net))


def test_interrupted_and_trained_on(name: str, dtype: Any, tmp_path: Path) -> None:
    class Interrupt(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 3:
                raise KeyboardInterrupt

    net = network(name, dtype)
    with pytest.raises(KeyboardInterrupt):
        fit(net, epochs=1, callbacks=[Interrupt()])
    net = saved(net, tmp_path / "run")
    fit(net)
    assert_equal(numbers(net), numbers(trained(name, dtype)))


def test_steps_in_one_call_or_in_several(name: str, dtype: Any) -> None:
    net, whole = network(name, dtype), network(name, dtype)
    for steps in (2, 5, 1):
        fit(net, epochs=None, steps=steps)
    fit(whole, epochs=None, steps=8)
    assert_equal(numbers(net), numbers(whole))


def test_killed_and_gone_on_from_a_checkpoint(name: str, dtype: Any, tmp_path: Path) -> None:
    """As a program that dies silently; `python -m benchmarks.kills` kills processes."""

    class End(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 3:
                raise RuntimeError

    checkpoint = {"checkpoint": tmp_path / "run", "checkpoint_every": "2 steps"}
    with pytest.raises(RuntimeError):
        fit(network(name, dtype), callbacks=[End()], **checkpoint)
    net = network(name, dtype)
    fit(net, **checkpoint)
    assert_equal(numbers(net), numbers(trained(name, dtype)))


# -- the document ----------------------------------------------------------------------------------------------------


def table() -> list[list[str]]:
    """Return the cells of each row below the head of the document's first table."""
    first = DOCUMENT.read_text().partition("| what changes ")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in first.splitlines()[2:]]


def test_the_document_and_the_tests_have_the_same_rows() -> None:
    everywhere = "\n".join(file.read_text() for file in (ROOT / "tests").rglob("test_*.py"))
    exist = set(re.findall(r"^def (test_\w+)", everywhere, re.MULTILINE))
    named = set()
    for row in table():
        _, numba, numpy, held_by = row
        assert {numba, numpy} <= WORDS, row
        tests = re.findall(r"`(test_\w+)`", held_by)
        assert tests, row
        assert set(tests) <= exist, row
        named |= set(tests)
    here = set(re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.MULTILINE))
    assert here - named == {"test_the_document_and_the_tests_have_the_same_rows"}


if __name__ == "__main__":
    np.savez(sys.argv[3], **numbers(trained(sys.argv[1], sys.argv[2])))
