"""Interrupted runs resume with `dnnkit train --resume` as they were started."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import dnnkit as dk
from tests.dnnkit.cli.command import dnnkit
from tests.dnnkit.cli.test_train import command, environment, expect_one_line
from tests.processes import started

OPTIONS = ("--hidden", "12,8", "--activation", "tanh", "--optimizer", "adamw", "--learning-rate", "0.003")
OPTIONS += ("--batch-size", "50", "--seed", "4", "--dtype", "float64", "--backend", "numpy", "--out", "run", "--quiet")


def history(folder: Path) -> dict[str, list[float]]:
    return dk.load(folder / "run").history.history


def weights(folder: Path) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in dk.load(folder / "run").parameters.items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of 60 epochs that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert dnnkit(folder, "train", "--epochs", "60", *OPTIONS).returncode == 0
    return folder


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, and a save that is not one."""
    folder = tmp_path_factory.mktemp("short")
    dnnkit(folder, "train", "--epochs", "1", "--hidden", "8", "--out", "run", "--quiet", DNNKIT_BACKEND="numpy")
    net = dk.Sequential([dk.Dense(1)], seed=1)
    net.build(3)
    net.save(folder / "save")
    return folder


@pytest.fixture
def short(short_run: Path, tmp_path: Path) -> Path:
    """A copy of them, to modify."""
    return Path(shutil.copytree(short_run, tmp_path / "short"))


def test_more_epochs_continue_as_if_requested_at_once(whole: Path, tmp_path: Path) -> None:
    cut = tmp_path
    assert dnnkit(cut, "train", "--epochs", "58", *OPTIONS).returncode == 0
    done = dnnkit(cut, "train", "--resume", "run", "--epochs", "60", "--json", "results.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "resumed after epoch 58" in done.stdout
    assert [line.split(" - ")[0] for line in done.stdout.splitlines() if "Epoch" in line] == [
        "Epoch 59/60",
        "Epoch 60/60",
    ]
    assert weights(cut) == weights(whole)
    assert history(cut) == history(whole)
    results = json.loads((cut / "results.json").read_text())
    assert (results["seed"], results["plan"]["backend"], len(results["epoch"])) == (4, "numpy", 60)
    again = dnnkit(cut, "train", "--resume", "run")
    assert (again.returncode, again.stderr) == (0, "")
    assert "nothing left to train: all 60 epochs are done" in again.stdout
    assert "Epoch" not in again.stdout
    assert weights(cut) == weights(whole)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_run_ended_by_a_signal_resumes(whole: Path, tmp_path: Path, number: signal.Signals, status: int) -> None:
    cut = tmp_path
    arguments = ("train", "--epochs", "100", *OPTIONS[:-1], "--checkpoint-every", "20 steps")
    with started(command(*arguments), cwd=cut, env=environment({})) as process:
        process.line("Epoch 10/100")
        process.send_signal(number)
        done = process.end()
    assert (done.returncode, done.stderr) == (status, "")
    assert ("interrupted and saved; continue with  dnnkit train --resume run" in done.stdout) == (status > 0)
    trained = dk.load(cut / "run").executable.state.step // 29
    assert 2 <= trained < 60, "it was so fast that the test cannot tell anything"
    assert dnnkit(cut, "train", "--resume", "run", "--epochs", "60").returncode == 0
    assert weights(cut) == weights(whole)
    assert history(cut) == history(whole)


def test_an_existing_run_is_replaced_only_on_request(short: Path) -> None:
    arguments = ("train", "--epochs", "1", "--hidden", "8", "--out", "save", "--seed", "2", "--quiet")
    refused = dnnkit(short, *arguments)
    expect_one_line(refused, "save holds a run already: continue it with --resume save, replace it")
    assert dk.load(short / "save").seed == 1
    assert dnnkit(short, *arguments, "--overwrite").returncode == 0
    assert dk.load(short / "save").seed == 2
    assert len(os.listdir(short / "save" / "versions")) == 2  # at the start, and at the end


def test_a_run_resumes_with_its_backend_unless_told_otherwise(short: Path) -> None:
    for arguments, variables, name in (
        ((), {}, "numpy"),
        (("--backend", "numba"), {}, "numba"),
        ((), {"DNNKIT_BACKEND": "numba"}, "numba"),
    ):
        done = dnnkit(short, "train", "--resume", "run", *arguments, **variables)
        assert done.returncode == 0
        assert f"backend {name} " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--resume nothing", "nothing is not a save"),
        ("--resume run --hidden 9", "--hidden cannot be combined with --resume"),
        ("mnist --resume run", "dataset cannot be combined with --resume"),
        ("--resume run --out other", "--out cannot be combined with --resume"),
        ("--resume save", "save is a save, but not a run of `dnnkit train`"),
        ("--resume run --epochs 0", "--epochs is 0"),
        ("--resume run --checkpoint-every often", "checkpoint_every is 'often'"),
        ("--resume run --backend nonsense", "no backend 'nonsense'"),
    ],
)
def test_a_run_that_cannot_be_resumed_is_one_line(short: Path, arguments: str, words: str) -> None:
    before = {path: path.read_bytes() for path in short.rglob("*") if path.is_file()}
    expect_one_line(dnnkit(short, "train", *arguments.split()), words)
    assert {path: path.read_bytes() for path in short.rglob("*") if path.is_file()} == before


def test_a_damaged_run_is_one_line(short: Path) -> None:
    for file in (short / "run").rglob("run.json"):
        file.write_text("{}")
    expect_one_line(dnnkit(short, "train", "--resume", "run"), "run is damaged: run.json has 2 bytes")
