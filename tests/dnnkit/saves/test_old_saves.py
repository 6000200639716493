"""Saves of earlier versions: they load, predict what they predicted, and continue training.

Tolerances are a few units in the last place, because other machines round differently; on the machine and with the
versions that made a save, every bit is compared.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from benchmarks.trajectories.environment import environment
from dnnkit.backends import Backend
from tests.dnnkit.saves import BACKENDS, PARTITION, continued, go_on, questions, sums

SAVES = Path(__file__).parent
NAMES = sorted(folder.name for folder in SAVES.glob("format-*") if folder.is_dir())


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def expected(name: str) -> dict:
    return json.loads((SAVES / f"{name}.json").read_text())


@pytest.fixture
def folder(name: str, tmp_path: Path) -> Path:
    """A writable copy, without the files' own permissions, which may be read-only."""
    for file in (SAVES / name).rglob("*"):
        if file.is_file():
            target = tmp_path / name / file.relative_to(SAVES / name)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / name


def test_there_is_a_save_of_the_first_format() -> None:
    assert "format-1" in NAMES


def test_it_predicts_what_it_did(backend: Backend, folder: Path, expected: dict) -> None:
    net = dk.load(folder, backend=backend.name)
    np.testing.assert_allclose(net.predict(questions()), expected["predictions"], rtol=2e-6, atol=3e-7)


def test_it_trains_on_as_it_did(backend: Backend, folder: Path, expected: dict) -> None:
    now = continued(dk.load(folder, backend=backend.name))
    assert now == {
        name: pytest.approx(value, abs=0.03 if "accuracy" in name else 1e-5 * value)
        for name, value in expected["continued"].items()
    }


def test_it_knows_how_it_came_about(folder: Path, expected: dict) -> None:
    net = dk.load(folder, backend="numpy")
    assert net.seed == 7
    assert net.dtype == "float32"
    assert net.optimizer == dk.Adam(dk.schedules.CosineDecay(0.02, 40, alpha=0.1, warmup_steps=4), global_clipnorm=1.0)
    assert [type(layer).__name__ for layer in net.layers[2:]] == ["Dense", "Dropout", "Dense", "Dense"]
    assert net.layers[2].activation.formula == "x / (1 + exp(-beta * x)) + 0.1 * sin(x)"
    assert net.history.history == expected["history"]
    assert net.history.epoch == [0, 1, 2]
    assert net.history.plan.backend == "numba"
    assert PARTITION in net.history.plan.details.values()
    snapshot = net.executable.snapshot()
    assert (snapshot.state.step, snapshot.state.epoch) == (15, 3)
    assert all(value.any() for value in snapshot.slots.values())
    go_on(net)
    assert net.history["loss"][:3] == expected["history"]["loss"]
    assert len(net.history["loss"]) == 4


def test_a_new_save_of_it_resumes_the_same(backend: Backend, folder: Path) -> None:
    net = dk.load(folder, backend=backend.name)
    net.save(folder)
    assert sums(dk.load(folder, backend=backend.name)) == sums(net)


@pytest.mark.parametrize("backend_name", BACKENDS)
def test_on_the_machine_that_made_it_every_bit_is_the_same(backend_name: str, folder: Path, expected: dict) -> None:
    if environment() != expected["environment"]:
        pytest.skip("made by another processor or by other versions, which round otherwise")
    assert sums(dk.load(folder, backend=backend_name)) == expected["sha256"][backend_name]
