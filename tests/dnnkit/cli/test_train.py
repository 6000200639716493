"""`dnnkit train` as users run it, in a separate folder; where it matters, as a separate process."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from tests import processes
from tests.dnnkit.cli.command import WITHOUT_PICTURES, dnnkit
from tests.processes import started

SMALL = ("--epochs", "2", "--hidden", "8")
PNG = b"\x89PNG\r\n\x1a\n"


def in_a_process(
    folder: Path, *arguments: str, pictures: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    return processes.run(command(*arguments, pictures=pictures), cwd=folder, env=environment(variables))


def command(*arguments: str, pictures: bool = False) -> list[str]:
    return [sys.executable, *(("-m", "dnnkit") if pictures else ("-c", WITHOUT_PICTURES)), *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's variables without a choice of backend, which module-scoped fixtures still see."""
    inherited = {name: value for name, value in os.environ.items() if name != "DNNKIT_BACKEND"}
    return {**inherited, "COLUMNS": "120", "TERM": "xterm", **variables}


def without_compiling(errors: str) -> list[str]:
    """Return the lines without those that report, on a slow machine, the compilation of kernels."""
    return [line for line in errors.splitlines() if not line.startswith("dnnkit: compiling ")]


def of_training(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the results that depend on arguments and seed alone."""
    return {name: results[name] for name in ("test_loss", "test_accuracy", "seed", "epoch", "history")}


def put_small_mnist(folder: Path) -> None:
    """Ten images per split, fewer than predictions.png has room for."""
    (folder / "mnist").mkdir()
    images, labels = np.tile(np.arange(10, dtype=np.uint8)[:, None, None], (1, 28, 28)), np.arange(10, dtype=np.uint8)
    for part in ("train", "t10k"):
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / "mnist" / f"{part}-{name}-ubyte").write_bytes(content + array.tobytes())


# -- what a run leaves -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder in which `dnnkit train` ran once, with the defaults except for its size."""
    folder = tmp_path_factory.mktemp("first")
    return folder, in_a_process(folder, "train", *SMALL, pictures=True)


def test_a_run_prints_one_line_per_epoch(first_run):
    _, done = first_run
    assert done.returncode == 0
    assert {line.split(" for ")[0] for line in done.stderr.splitlines()} <= {"dnnkit: compiling"}  # the first time
    lines = done.stdout.splitlines()
    assert "1,437 training and 360 test images" in lines[0]
    assert any("64 - 8 - 10" in line for line in lines)
    assert any(line.startswith("backend ") for line in lines)
    epochs = [line for line in lines if line.startswith("Epoch ")]
    pattern = (
        r"Epoch %d/2 - [\d.: s]+ - [\d.]+ µs/sample - loss: \S+ - accuracy: \S+ - val_loss: \S+ - val_accuracy: \S+"
    )
    assert len(epochs) == 2
    assert all(re.fullmatch(pattern % number, line) for number, line in enumerate(epochs, 1))
    assert re.match(r"test accuracy 0\.\d{4}, loss \d", lines[-2])
    assert str(Path("runs/digits")) in lines[-1]


def test_a_run_folder_holds_a_save_and_two_plots(first_run):
    folder, _ = first_run
    run = folder / "runs" / "digits"
    assert (run / "manifest.json").is_file()
    for name in ("curves.png", "predictions.png"):
        picture = (run / name).read_bytes()
        assert picture.startswith(PNG)
        assert len(picture) > 10_000
    assert os.listdir(folder) == ["runs"]
    assert os.listdir(folder / "runs") == ["digits"]


def test_a_run_folder_is_a_network_that_load_reads(first_run):
    folder, done = first_run
    net = dk.load(folder / "runs" / "digits")
    _, (x_test, y_test) = dk.datasets.digits.load_data()
    assert f"test accuracy {net.evaluate(x_test, y_test)['accuracy']:.4f}" in done.stdout
    assert net.history.epoch == [0, 1]


def test_a_second_run_has_its_own_folder_and_quiet_prints_nothing(first_run):
    folder, _ = first_run
    before = (folder / "runs" / "digits" / "manifest.json").read_bytes()
    done = dnnkit(folder, "train", *SMALL, "--quiet", "--json", "results.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (folder / "runs" / "digits" / "manifest.json").read_bytes() == before
    results = json.loads((folder / "results.json").read_text())
    assert results["run_folder"] == str(Path("runs/digits-2"))
    assert (folder / "runs" / "digits-2" / "manifest.json").is_file()
    assert results["interrupted"] is False
    # The same seed gives the same training, whatever is printed.
    assert results["history"] == dk.load(folder / "runs" / "digits").history.history


def test_both_ways_to_write_hidden_layers_train_the_same_network(tmp_path):
    one = dnnkit(tmp_path, "train", "--epochs", "2", "--hidden", "16,8", "--out", "deep/er", "--json", "-")
    two = dnnkit(tmp_path, "train", "--epochs", "2", "--hidden", "16", "--hidden", "8", "--json", "two.json", "--quiet")
    assert (one.returncode, two.returncode) == (0, 0)
    results = json.loads(one.stdout)
    assert of_training(results) == of_training(json.loads((tmp_path / "two.json").read_text()))
    assert results["run_folder"] == str(Path("deep/er"))
    shapes = [parameter.shape for parameter in dk.load(tmp_path / "deep" / "er").parameters.values()]
    assert shapes == [(64, 16), (16,), (16, 8), (8,), (8, 10), (10,)]
    assert one.stderr.count("µs/sample") == 2  # with --json - progress goes to standard error


def test_every_option_reaches_the_network(tmp_path):
    arguments = (
        "--epochs 1 --hidden 8 --activation gelu --optimizer sgd --learning-rate 0.5 --batch-size 100 --seed 9 "
        "--dtype float64 --backend numpy --out run --quiet --json -"
    )
    done = dnnkit(tmp_path, "train", "digits", *arguments.split())
    assert done.returncode == 0
    results = json.loads(done.stdout)
    net = dk.load(tmp_path / "run")
    assert (results["seed"], results["plan"]["backend"], results["dataset"]) == (9, "numpy", "digits")
    assert net.layers[2].activation == "gelu"
    assert net.optimizer == dk.SGD(learning_rate=0.5)
    assert (net.seed, net.dtype) == (9, "float64")
    assert net.executable.state.step == 15  # batches of 100 in 1,437


def test_an_activation_may_be_a_formula_which_the_run_keeps(tmp_path):
    formula = "x * sigmoid(beta * x); beta = 1.5"
    arguments = ("--hidden", "8", "--backend", "numpy", "--out", "run", "--quiet")
    assert dnnkit(tmp_path, "train", *arguments, "--epochs", "1", "--activation", formula).returncode == 0
    done = dnnkit(tmp_path, "train", "--resume", "run", "--epochs", "2", "--json", "-")
    assert done.returncode == 0, done.stderr
    net = dk.load(tmp_path / "run")
    assert net.layers[2].activation == dk.Dense(8, activation=formula).activation
    (x, _), (x_test, y_test) = dk.datasets.digits.load_data()
    assert net.evaluate(x_test, y_test)["accuracy"] == json.loads(done.stdout)["test_accuracy"]
    hidden = (x[:3].reshape(3, 64) / 16) @ net.parameters["dense/kernel"] + net.parameters["dense/bias"]
    scores = hidden / (1 + np.exp(-1.5 * hidden)) @ net.parameters["dense_1/kernel"] + net.parameters["dense_1/bias"]
    by_hand = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict(x[:3]), by_hand, rtol=1e-4)
    np.save(tmp_path / "samples.npy", x[:3])
    said = json.loads(dnnkit(tmp_path, "predict", "run", "samples.npy", "--json", "-").stdout)
    np.testing.assert_allclose(said["predictions"], by_hand, rtol=1e-4)


def test_users_mnist_files_can_be_trained_on(tmp_path):
    put_small_mnist(tmp_path)
    done = dnnkit(tmp_path, "train", "mnist", *SMALL, pictures=True, DNNKIT_DATA_DIR=str(tmp_path))
    assert done.returncode == 0
    assert done.stderr == ""
    assert "784 - 8 - 10" in done.stdout
    assert (tmp_path / "runs" / "mnist" / "predictions.png").read_bytes().startswith(PNG)


def test_results_are_valid_json_also_when_the_loss_explodes(tmp_path):
    done = dnnkit(
        tmp_path,
        "train",
        *SMALL,
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e30",
        "--json",
        "-",
        PYTHONWARNINGS="ignore",
    )
    assert done.returncode == 0

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    json.loads(done.stdout, parse_constant=refuse)


# -- help ------------------------------------------------------------------------------------------------------------


def test_help_of_the_whole_lists_the_commands(tmp_path):
    done = dnnkit(tmp_path, "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("train", "predict", "backends"))


@pytest.mark.parametrize("name", ["train", "predict"])
def test_help_of_a_command_shows_examples(tmp_path, name):
    done = dnnkit(tmp_path, name, "--help")
    assert done.returncode == 0
    assert "Examples" in done.stdout
    assert done.stdout.count(f"dnnkit {name}") >= 2


def test_help_of_backends_describes_it(tmp_path):
    done = dnnkit(tmp_path, "backends", "--help")
    assert done.returncode == 0
    assert "backends" in done.stdout


def test_version_is_the_packages(tmp_path):
    assert dnnkit(tmp_path, "--version").stdout.strip() == f"dnnkit {dk.__version__}"


# -- errors that the user can fix ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nonsense", "unknown data set 'nonsense'"),
        ("minst", "did you mean 'mnist'"),
        ("--hidden 0", "--hidden 0"),
        ("--hidden x", "--hidden x"),
        (f"--hidden {10**30}", "but this machine has"),
        ("--hidden 16,,8", "--hidden"),
        ("--hidden 64 32 --target y", "--hidden 64,32"),
        ("--activation x*sigmod(x)", "unknown function 'sigmod': did you mean 'sigmoid'?"),
        ("--hidden=-5", "--hidden -5"),
        ("--activation nonsense", "nonsense"),
        ("--optimizer nonsense", "nonsense"),
        ("--batch-size 0", "--batch-size is 0"),
        ("--epochs 0", "epochs is 0"),
        ("--epochs 0 --json results.json", "epochs is 0"),
        ("--seed -1", "-1"),
        ("--dtype float16", "float16"),
        ("--backend nonsense", "nonsense"),
        ("--learning-rate -1", "learning_rate"),
        ("--learning-rate nan", "learning_rate"),
        ("--out ../file/run", "file/run"),
        ("--json missing/results.json", "missing/results.json"),
    ],
)
def test_an_invalid_argument_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments, words):
    # the names that other tests registered here do not exist in a command
    monkeypatch.setattr("dnnkit.formula.definition.NAMED", {})
    (tmp_path / "file").write_text("a regular file")
    here = tmp_path / "here"
    here.mkdir()
    expect_one_line(dnnkit(here, "train", "--epochs", "1", *arguments.split()), words)
    assert os.listdir(here) == []


def test_an_unknown_backend_in_the_environment_is_one_line(tmp_path):
    done = in_a_process(tmp_path, "train", *SMALL, DNNKIT_BACKEND="nonsense")
    expect_one_line(done, "'nonsense' (from: environment variable DNNKIT_BACKEND)")
    assert os.listdir(tmp_path) == []


def test_missing_data_is_one_line(tmp_path):
    folder = tmp_path / "nothing"
    offline = {"DNNKIT_MIRROR": "http://127.0.0.1:9", "no_proxy": "*"}
    done = in_a_process(tmp_path, "train", "mnist", DNNKIT_DATA_DIR=str(folder), **offline)
    expect_one_line(done, str(folder / "mnist"))
    assert os.listdir(tmp_path) == ["nothing"]  # no run folder


def expect_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("dnnkit: ")
    assert words in line
    assert len(line) < 400


# -- while it runs ---------------------------------------------------------------------------------------------------


def test_an_interrupted_run_keeps_its_results(tmp_path):
    arguments = ("train", "--hidden", "8", "--epochs", "100000", "--out", "run", "--json", "results.json")
    with started(command(*arguments, pictures=True), cwd=tmp_path, env=environment({})) as process:
        process.line("Epoch 1/100000")
        process.send_signal(signal.SIGINT)
        done = process.end()
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stdout
    assert without_compiling(done.stderr) == []
    net = dk.load(tmp_path / "run")
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["interrupted"] is True
    assert 1 <= len(net.history.epoch) == len(results["epoch"]) < 100_000
    _, (x_test, y_test) = dk.datasets.digits.load_data()
    assert net.evaluate(x_test, y_test)["accuracy"] == pytest.approx(results["test_accuracy"])
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(PNG)


def test_a_terminal_shows_progress_within_an_epoch(tmp_path):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    shown = b""
    with started(command("train", *SMALL), cwd=tmp_path, env=environment({"COLUMNS": "80"}), **streams) as process:
        os.close(theirs)
        while part := _read(ours):
            shown += part
        assert process.wait() == 0
    os.close(ours)
    text = shown.decode()
    assert "Epoch 1/2" in text
    assert re.search(r"ETA [\d.: s]+ - [\d.]+ µs/sample - loss: \d+\.\d{4} - accuracy: ", text)
    assert re.search(
        r"45/45 - [\d.: s]+ - [\d.]+ µs/sample - loss: \S+ - accuracy: \S+\r\n  val_loss: \S+ - val_a", text
    )


def _read(terminal: int) -> bytes:
    """Read what has been written; nothing once the other side is closed, which Linux reports as an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
