"""`dnnkit predict`: every form of samples, the same numbers as `net.predict`, and one line for what cannot be read."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from tests.dnnkit.cli.command import dnnkit


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(3, 2, 4))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with two networks: `run` predicts three classes, `line` two numbers."""
    folder = tmp_path_factory.mktemp("predict")
    layers = [dk.Flatten(), dk.Dense(5, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=1)
    net.build((2, 4))
    net.save(folder / "run")
    line = dk.Sequential([dk.Dense(2)], seed=2)
    line.build(4)
    line.save(folder / "line")
    return folder


def write_csv(path: Path, samples: np.ndarray) -> None:
    np.savetxt(path, samples.reshape(len(samples), -1), delimiter=",", fmt="%.17g")


WRITERS = {
    "samples.npy": np.save,
    "samples.npz": np.savez,
    "samples.csv": write_csv,
    "flat.npy": lambda path, samples: np.save(path, samples.reshape(len(samples), -1)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_file_is_predicted_as_in_python(folder, samples, tmp_path, name):
    WRITERS[name](tmp_path / name, samples)
    done = dnnkit(tmp_path, "predict", str(folder / "run"), name, "--json", "-")
    assert done.returncode == 0
    results = json.loads(done.stdout)
    expected = dk.load(folder / "run").predict(samples)
    np.testing.assert_allclose(results["predictions"], expected, rtol=1e-6)
    assert results["classes"] == expected.argmax(axis=1).tolist()


def test_people_read_class_and_probability(folder, samples, tmp_path):
    np.save(tmp_path / "samples.npy", samples)
    done = dnnkit(tmp_path, "predict", str(folder / "run"), "samples.npy")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["sample", "class", "probability"]
    expected = dk.load(folder / "run").predict(samples)
    assert [row.split() for row in rows] == [
        [str(number), str(row.argmax()), f"{row.max():.4f}"] for number, row in enumerate(expected)
    ]


def test_a_network_without_classes_gives_its_outputs(folder, samples, tmp_path):
    np.save(tmp_path / "samples.npy", samples[0])
    done = dnnkit(tmp_path, "predict", str(folder / "line"), "samples.npy", "--json", "outputs.json")
    expected = dk.load(folder / "line").predict(samples[0])
    assert done.returncode == 0
    printed = np.array([line.split() for line in done.stdout.splitlines()], float)
    np.testing.assert_allclose(printed[:, 1:], expected, rtol=1e-5)
    results = json.loads((tmp_path / "outputs.json").read_text())
    np.testing.assert_allclose(results["predictions"], expected, rtol=1e-6)
    assert "classes" not in results


def test_a_single_sample_needs_no_axis_of_samples(folder, samples, tmp_path):
    np.save(tmp_path / "one.npy", samples[0])
    done = dnnkit(tmp_path, "predict", str(folder / "run"), "one.npy")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_numpy_files_are_known_by_their_content(folder, samples, tmp_path):
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, samples)
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, samples)
    outputs = {dnnkit(tmp_path, "predict", str(folder / "run"), name).stdout for name in ("array.npz", "archive.npy")}
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) == 1 + len(samples)


def test_a_flat_sample_needs_no_axis_of_samples(folder, samples, tmp_path):
    np.save(tmp_path / "one.npy", samples[0].reshape(-1))
    done = dnnkit(tmp_path, "predict", str(folder / "run"), "one.npy")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def test_a_single_line_of_csv_is_a_single_sample(folder, samples, tmp_path):
    write_csv(tmp_path / "one.csv", samples[:1])
    done = dnnkit(tmp_path, "predict", str(folder / "run"), "one.csv")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


def expect_one_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("dnnkit: ")
    assert words in line
    assert len(line) < 400
    assert (done.returncode, done.stdout) == (2, "")


def write_two_arrays(path: Path) -> None:
    np.savez(path, first=np.zeros((1, 8)), second=np.zeros((1, 8)))


BAD_FILES = {
    "wrong_shape.npy": (lambda path: np.save(path, np.zeros((2, 7))), "(2, 7)"),
    "pickled.npy": (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "pickled.npy"),
    "text.npy": (lambda path: np.save(path, np.array(["a", "b"])), "dtype"),
    "nan.npy": (lambda path: np.save(path, np.full((1, 8), np.nan)), "NaN"),
    "empty.npy": (lambda path: path.write_bytes(b""), "empty.npy"),
    "cut.npy": (lambda path: path.write_bytes(b"\x93NUMPY\x01"), "cut.npy"),
    "two.npz": (write_two_arrays, "2 arrays (first, second)"),
    "cut.npz": (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "cut.npz"),
    "words.csv": (lambda path: path.write_text("one,two\nthree,four\n"), "words.csv"),
    "ragged.csv": (lambda path: path.write_text("1,2,3\n4,5\n"), "ragged.csv"),
    "empty.csv": (lambda path: path.write_text(""), "empty"),
    "samples.txt": (lambda path: path.write_text("1 2 3"), "expected .npy, .npz or .csv"),
    "samples": (lambda path: path.write_text("1 2 3"), "expected .npy, .npz or .csv"),
    "folder.npy": (lambda path: path.mkdir(), "folder.npy"),
    "missing.npy": (lambda path: None, "missing.npy"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_holds_no_samples_is_one_line(folder, tmp_path, name):
    write, words = BAD_FILES[name]
    write(tmp_path / name)
    expect_one_line(dnnkit(tmp_path, "predict", str(folder / "run"), name), words)


def test_a_failure_leaves_no_results_behind(folder, tmp_path):
    expect_one_line(
        dnnkit(tmp_path, "predict", str(folder / "run"), "missing.npy", "--json", "results.json"), "missing.npy"
    )
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_no_run_is_one_line(tmp_path):
    np.save(tmp_path / "samples.npy", np.zeros((1, 8)))
    expect_one_line(dnnkit(tmp_path, "predict", "nowhere", "samples.npy"), "nowhere is not a save")


def test_a_run_with_a_flipped_byte_is_one_line(tmp_path):
    net = dk.Sequential([dk.Dense(2)], seed=2)
    net.build(4)
    net.save(tmp_path / "run")
    np.save(tmp_path / "samples.npy", np.zeros((1, 4)))
    (weights,) = (tmp_path / "run").glob("**/weights.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    expect_one_line(dnnkit(tmp_path, "predict", "run", "samples.npy"), "weights.safetensors")
