"""What is compiled ahead is not compiled again."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError
from tests import processes
from tests.dnnkit.cli.command import dnnkit

NETWORKS = """
import sys

import numpy as np
from numba.core import event

import dnnkit as dk


class Listener(event.Listener):
    def on_start(self, found):
        compiled.append(found.data["dispatcher"].py_func.__qualname__)

    def on_end(self, found):
        pass


compiled = []
event.register("numba:compile", Listener())
x, labels = np.random.default_rng(0).normal(size=(200, 30)), np.arange(200) % 4
for number, (hidden, head, loss, optimizer, threads) in enumerate([
    (["gelu", "selu"], "softmax", "sparse_categorical_crossentropy", "rmsprop", 1),
    (["mish"], "sigmoid", "binary_crossentropy", "adamw", 2),
    ([], "linear", "sum_squared_error", dk.SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.1), 1),
    (["tanh", "silu", "elu"], "softmax", "categorical_crossentropy", dk.Adam(global_clipnorm=1.0), 2),
]):
    layers = [dk.Rescaling(2.0), *(dk.Dense(20, activation=name) for name in hidden), dk.Dropout(0.2)]
    net = dk.Sequential([*layers, dk.Dense(4, activation=head)], seed=number, backend="numba", num_threads=threads)
    net.compile(optimizer, loss, ["accuracy"] if head != "linear" else [])
    y = labels if loss.startswith("sparse") else np.eye(4)[labels]
    net.fit(x, y, epochs=2, validation_split=0.2, verbose=0)
    net.evaluate(x, y)
    net.predict(x)
    net.predict(x[:1].astype("float32"))
    net.get_gradients(x, y, with_input=True)
sys.exit(", ".join(compiled) or 0)
"""


def test_it_reports_each_part_and_does_not_change_networks(backend: Backend) -> None:
    before, told = dk.get_backend(), []
    parts = dk.warm_up("float32", backend=backend, say=told.append)  # most of whose code is in the archive
    assert parts == told
    assert {part.dtype for part in parts} == {"float32"}
    assert {"training and prediction", "activations", "optimizer adamw"} <= {part.what for part in parts}
    assert all(np.isfinite(part.seconds) for part in parts)
    assert dk.get_backend() is before


def test_an_unknown_dtype_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="float16"):
        dk.warm_up("float16")


def test_the_command_reports_its_work(tmp_path: Path) -> None:
    done = dnnkit(tmp_path, "compile", "--dtype", "float32", "--backend", "numpy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("backend numpy: everything is compiled, after ")
    assert dnnkit(tmp_path, "compile", "--dtype", "float16").returncode == 2
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").write_text("")
    refused = dnnkit(tmp_path, "compile", "--backend", "numpy", DNNKIT_CACHE_DIR=str(tmp_path / "file"))
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"dnnkit: cannot write to {tmp_path / 'file'}: ")
    quiet = dnnkit(tmp_path, "compile", "--dtype", "float32", "--backend", "numpy", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


@pytest.mark.slow
def test_after_it_no_process_compiles(tmp_path: Path) -> None:
    environment = {**os.environ, "DNNKIT_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "dnnkit", "compile", "--dtype", "float32", "--backend", "numba"]
    subprocess.run(command, env=environment, check=True)
    kept = set(tmp_path.rglob("*.kernel"))
    later = processes.run([sys.executable, "-c", NETWORKS], env=environment)
    assert (later.returncode, later.stderr) == (0, "")
    assert set(tmp_path.rglob("*.kernel")) == kept
    assert len(kept) > 50
