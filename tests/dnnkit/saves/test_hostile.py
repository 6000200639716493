"""Malicious saves: each lie is one error that says where it is, before anything of its size is allocated.

`tests/fuzz` searches for more of them.
"""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.saves.loading import network_of
from dnnkit.saves.saving import files_of
from dnnkit.saves.tensors import from_safetensors, to_safetensors


def network() -> dk.Sequential:
    net = dk.Sequential([dk.Dense(3, activation="relu"), dk.Dense(1)], seed=0, backend="numpy")
    net.compile("adam", "mean_squared_error")
    x = np.linspace(-1, 1, 20).reshape(10, 2)
    net.fit(x, x[:, :1], batch_size=2, steps=3, verbose=0)
    return net


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return files_of(network())


@pytest.fixture
def run(tmp_path: Path) -> Path:
    network().save(tmp_path / "run")
    return tmp_path / "run"


def changed(files: dict[str, bytes], name: str, path: str, value: Any) -> dict[str, bytes]:
    document = json.loads(files[name])
    *way, last = path.split(".")
    parent = document
    for part in way:
        parent = parent[int(part) if part.isdigit() else part]
    parent[last] = value
    return {**files, name: json.dumps(document).encode()}


@pytest.mark.parametrize(
    ("name", "path", "value", "told"),
    [
        ("state.json", "position", -1000, "position is -1000: expected a whole number from 0"),
        ("state.json", "position", -(2**63), "position"),
        ("state.json", "position", 6, "at most the epoch's 5 steps"),
        ("state.json", "step", -1, "step"),
        ("state.json", "step", 2**63, "step"),
        ("state.json", "epoch", "0", "epoch is '0'"),
        ("state.json", "steps", 2.0, "steps"),
        ("state.json", "execution", "rows/1000000@32", "at most 256 workers"),
        ("state.json", "execution", "units/-1@4", "execution"),
        ("state.json", "execution", 7, "execution"),
        ("state.json", "sums.sums", [[1.0, 2.0]], "has 2 sums"),
        ("state.json", "sums.first", 4, "at most the position"),
        ("architecture.json", "layers.0.units", 10**8, "they do not fit"),
        ("architecture.json", "input_shape", [10**9], "they do not fit"),
        ("architecture.json", "input_shape", [2**30, 2**30], r"at most 2\*\*40 numbers"),
        ("architecture.json", "layers", [{"type": "Flatten"}] * 5001, "a list of at most 5,000"),
        ("architecture.json", "layers.0.units", {"type": "array", "dtype": "S2000000000", "values": [1]}, "array"),
        ("architecture.json", "seed", 1.5, "seed is 1.5"),
        ("architecture.json", "format", "2", "in format '2'"),
        ("history.json", "history.loss", [1.0, 2.0], "one number per epoch, 1 in all"),
        ("history.json", "plan", [], "plan"),
    ],
)  # fmt: skip
def test_a_lie_is_reported_with_its_place(files, name, path, value, told) -> None:
    with pytest.raises(CheckpointError, match=told):
        network_of(changed(files, name, path, value), "the save")


@pytest.mark.parametrize(
    "text", [b"[" * 10**5, b"[" * 60 + b"]" * 60, b"1" * 5000, b"1" * 400, b'"\\ud800"', b"\xff", b""]
)
@pytest.mark.parametrize("name", ["architecture.json", "state.json", "history.json"])
def test_json_is_bounded_when_it_is_parsed(files, name, text) -> None:
    with pytest.raises(CheckpointError, match=f"{name} cannot be parsed"):
        network_of({**files, name: text}, "the save")


@pytest.mark.parametrize("name", ["architecture.json", "state.json", "history.json", "weights.safetensors"])
def test_a_file_that_is_not_there_is_named(files, name) -> None:
    with pytest.raises(CheckpointError, match=f"it has no {name}"):
        network_of({other: data for other, data in files.items() if other != name}, "the save")


def test_weights_are_not_drawn_for_a_save_that_has_them(files, monkeypatch) -> None:
    monkeypatch.setattr(dk.Sequential, "initial_parameters", None)
    network_of(files, "the save")


def test_every_array_has_its_own_bytes() -> None:
    data = to_safetensors({"a": np.arange(4.0), "b": np.arange(4.0)})
    assert from_safetensors(data, "it")["b"].tolist() == [0, 1, 2, 3]
    size = struct.unpack("<Q", data[:8])[0]
    shared = data[8 : 8 + size].replace(b"[32,64]", b"[0,32] ")
    for wrong in (
        data[:8] + shared + data[8 + size :],
        data[:-1],
        data + b"\0",
        data[:8] + b"\0" + data[9:],
        b"",
        b"\xff" * 20,
    ):
        with pytest.raises(CheckpointError, match="it"):
            from_safetensors(wrong, "it")


# -- files that are not saves ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "weights.safetensors"])
def test_a_pipe_is_not_waited_for(run: Path, name: str) -> None:
    file = next(run.rglob(name))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(CheckpointError, match=r"damaged|pipe"):
        dk.load(run)


@pytest.mark.parametrize("name", ["manifest.json", "state.json"])
def test_a_link_out_of_the_folder_is_rejected(run: Path, tmp_path: Path, name: str) -> None:
    file = next(run.rglob(name))
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="link out of"):
        dk.load(run)


def test_a_save_larger_than_the_budget_says_how_to_raise_it(run: Path, monkeypatch) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"]["weights.safetensors"]["bytes"] = 5 << 30
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="set the environment variable DNNKIT_LARGEST_FILE to '51"):
        dk.load(run)
    monkeypatch.setenv("DNNKIT_LARGEST_FILE", "8 GiB")
    with pytest.raises(CheckpointError, match="differ from those written"):
        dk.load(run)
    monkeypatch.setenv("DNNKIT_LARGEST_FILE", "much")
    with pytest.raises(ConfigurationError, match="DNNKIT_LARGEST_FILE is 'much'"):
        dk.load(run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 4}, "in format 4"),
        ({"version": "../000001"}, "version"),
        ({"files": {"../state.json": {"bytes": 1, "sha256": "0" * 64}}}, "the name of a file in the same folder"),
        ({"files": {"state.json": {"bytes": -1, "sha256": "0" * 64}}}, "bytes is -1"),
        ({"older": 3}, "older"),
    ],
)
def test_a_manifest_is_validated(run: Path, change: dict, told: str) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(CheckpointError, match=told):
        dk.load(run)


def test_a_fit_does_not_resume_from_a_step_in_the_future(tmp_path: Path) -> None:
    """Its limit counts from there: it would have trained for ever."""
    x = np.linspace(-1, 1, 20).reshape(10, 2)

    def fit() -> None:
        net = dk.Sequential([dk.Dense(1)], seed=0, backend="numpy")
        net.compile("sgd", "mean_squared_error")
        net.fit(x, x[:, :1], batch_size=2, steps=4, verbose=0, checkpoint=tmp_path)

    fit()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    file = tmp_path / "versions" / manifest["version"] / "fit.json"
    data = file.read_bytes().replace(b'"first_step": 0', b'"first_step": 900000')
    file.write_bytes(data)
    manifest["files"]["fit.json"] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="began at step 900000"):
        fit()


@pytest.mark.parametrize("path", ["layers.0.activation", "layers.0.type", "layers.0.kernel_initializer", "metrics"])
def test_an_error_is_short(files, path) -> None:
    value: Any = ["x" * 9000] if path == "metrics" else "x" * 100_000
    with pytest.raises(dk.DnnkitError) as caught:
        network_of(changed(files, "architecture.json", path, value), "the save")
    assert len(str(caught.value)) < 2000
