"""Save folders: changed JSON under matching checksums, changed bytes under matching and wrong ones."""

import hashlib
import json
import shutil
import struct
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.cli.run_options import RunOptions, place_of_run
from dnnkit.network.whole import WholeNetwork
from dnnkit.saves.loading import network_of
from dnnkit.saves.saving import files_of
from tests.fuzz.mutations import BYTE_EDITS, EDITS, changed, edited, written
from tests.fuzz.reader import Reader

KINDS = ("within an epoch", "odd parts", "never compiled", "graph")


def made(kind: str, backend: str) -> WholeNetwork:
    """Return a small network that was trained a little."""
    if kind == "graph":
        one, other = dk.Input((3,), name="one"), dk.Input((3,), name="other")
        shared = dk.Sequential([dk.Dense(3, activation="tanh")], name="shared")
        both = dk.Concatenate()([shared(one) * shared(other), one])
        outputs = {"kind": dk.Dense(2, activation="softmax")(both), "value": dk.Dense(1)(both)}
        graph = dk.Model([one, other], outputs, seed=4, backend=backend)
        losses = {"kind": "sparse_categorical_crossentropy", "value": "mse"}
        graph.compile("sgd", losses, {"kind": ["accuracy"]}, {"value": 0.5})
        graph.fit(*_of_graph(graph), batch_size=4, steps=7, verbose=0)
        return graph
    if kind == "never compiled":
        net = dk.Sequential([dk.Dense(2, activation="tanh")], seed=3, backend=backend)
        net.build(3)
        return net
    if kind == "within an epoch":
        net = dk.Sequential(
            [dk.Dense(5, activation="relu"), dk.Dense(3, activation="softmax")], seed=1, backend=backend
        )
        net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        net.fit(*_data(net, (4,)), batch_size=4, epochs=1, verbose=0)
        net.fit(*_data(net, (4,)), batch_size=4, steps=3, verbose=0)
        return net
    bend = dk.formula.Formula("bend", "x / (1 + exp(-beta * x))", (("beta", 1.5),))
    layers = [dk.Rescaling(0.5), dk.Flatten(), dk.Dense(4, activation=bend), dk.Dropout(0.25), dk.Dense(1)]
    net = dk.Sequential(layers, seed=2, backend=backend, dtype="float64", num_threads=2)
    rate = dk.schedules.PiecewiseConstantDecay((5, 9), (0.1, 0.05, 0.01))
    net.compile(dk.SGD(rate, momentum=0.5, global_clipnorm=1.0), "mean_squared_error", ["binary_accuracy"])
    net.fit(*_data(net, (2, 3)), batch_size=4, epochs=2, verbose=0)
    return net


def _of_graph(net: WholeNetwork) -> tuple[Any, Any]:
    """Return samples and targets for each of its inputs and outputs."""
    rng = np.random.default_rng(0)
    x = [rng.uniform(-1, 1, (20, *(each.shape or ()))) for each in net.graph.inputs]
    y = []
    for goal, shape in zip(net.goals, net.graph.output_shapes(), strict=True):
        labels = goal.loss is not None and goal.loss.targets == "labels"
        y.append(None if goal.loss is None else np.zeros(20, int) if labels else np.zeros((20, *shape)))
    return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])


def _data(net: WholeNetwork, shape: tuple[int, ...]) -> tuple[Any, Any]:
    x = np.random.default_rng(0).uniform(-1, 1, (20, *shape))
    labels = net.loss is not None and net.loss.targets == "labels"
    return x, (np.arange(20) % 2 if labels else x.reshape(20, -1)[:, :1])


@cache
def base(kind: str, backend: str = "numpy") -> dict[str, bytes]:
    return files_of(made(kind, backend))


@cache
def saved(kind: str) -> Path:
    """Write a folder with that save, or with a run with two checkpoints."""
    folder = Path(mkdtemp(prefix="dnnkit-fuzz-"))
    if kind == "checkpoint":
        net = made("within an epoch", "numpy")
        options = RunOptions("digits", (5,), "relu", "adam", None, 4, 2, 1, "float32", None)
        from dnnkit.training.checkpoints import Checkpoints

        places = Checkpoints(folder / "run", "1 epoch", besides=options.to_files())
        net.fit(*_data(net, (4,)), batch_size=4, epochs=3, verbose=0, checkpoint=places, callbacks=_callbacks())
    else:
        made(kind, "numpy").save(folder / "run")
    return folder / "run"


def _callbacks() -> list[Any]:
    return [dk.EarlyStopping("loss", patience=9)]


def use(net: WholeNetwork) -> None:
    """Use a loaded network as users do."""
    shape = net.input_shape
    assert shape is not None
    if np.prod([float(size) for size in shape]) > 1000:
        return
    if net.is_graph:
        x, y = _of_graph(net)
        net.predict(x)
        if net.is_compiled:
            net.evaluate(x, y)
            net.fit(x, y, batch_size=4, epochs=1, verbose=0)
        network_of(files_of(net), "the save", None)
        return
    x = np.random.default_rng(0).uniform(-1, 1, (20, *shape))
    outputs = net.predict(x).reshape(20, -1).shape[1]
    if net.is_compiled:
        labels = net.loss is not None and net.loss.targets == "labels"
        y = np.zeros(20, int) if labels else np.zeros((20, outputs))
        net.evaluate(x, y)
        net.fit(x, y, batch_size=4, epochs=1, verbose=0)
    network_of(files_of(net), "the save", None)


def _with(name: str, case: Any) -> dict[str, bytes]:
    kind, backend, edits = case
    files = base(kind, backend)
    return {**files, name: written(edited(json.loads(files[name]), edits))}


def _json_reader(name: str, *backends: str) -> Reader:
    cases = st.tuples(st.sampled_from(KINDS), st.sampled_from(backends), EDITS)
    read = lambda case, _: use(network_of(_with(f"{name}.json", case), "the save"))  # noqa: E731
    return Reader(name, cases, read, prepare=lambda: _prepare(*backends))


def _prepare(*backends: str) -> None:
    """Train on each; afterwards nothing compiles that these saves need, unless they are of other parts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for backend in backends:
            for kind in KINDS:
                files = base(kind, backend)
                for execution in ("", "units/2@4", "rows/2@4") if backend == "numba" else ("",):
                    state = {**json.loads(files["state.json"]), "execution": execution}
                    use(network_of({**files, "state.json": json.dumps(state).encode()}, "the save"))
        for kind in (*KINDS, "checkpoint"):
            saved(kind)


def _read_tensors(case: Any, _: Path) -> None:
    kind, name, edits, of_bytes = case
    files = base(kind)
    data = files[name]
    if of_bytes:
        data = changed(data, of_bytes)
    else:
        size = struct.unpack("<Q", data[:8])[0]
        header = written(edited(json.loads(data[8 : 8 + size]), edits))
        data = struct.pack("<Q", len(header)) + header + data[8 + size :]
    use(network_of({**files, name: data}, "the save"))


def _copied(kind: str, folder: Path) -> Path:
    shutil.rmtree(folder / "run", ignore_errors=True)
    shutil.copytree(saved(kind), folder / "run")
    return folder / "run"


def _read_manifest(case: Any, folder: Path) -> None:
    kind, edits, of_bytes = case
    run = _copied(kind, folder)
    data = (run / "manifest.json").read_bytes()
    data = changed(data, of_bytes) if of_bytes else written(edited(json.loads(data), edits))
    (run / "manifest.json").write_bytes(data)
    use(dk.load(run))


def _read_bytes(case: Any, folder: Path) -> None:
    """Any file, damaged; the manifest has its checksum, or gets it."""
    kind, number, of_bytes, is_forged = case
    run = _copied(kind, folder)
    files = sorted((run / "versions").glob("*/*"))
    file = files[number % len(files)]
    data = changed(file.read_bytes(), of_bytes)
    file.write_bytes(data)
    if is_forged:
        _forge(run, {file.name: data})
    use(dk.load(run))


def _forge(run: Path, files: dict[str, bytes]) -> None:
    """Write these files into the newest version, and their checksums into the manifest."""
    manifest = json.loads((run / "manifest.json").read_bytes())
    for name, data in files.items():
        (run / "versions" / manifest["version"] / name).write_bytes(data)
        manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (run / "manifest.json").write_text(json.dumps(manifest))


def _read_checkpoint(case: Any, folder: Path) -> None:
    name, edits = case
    run = _copied("checkpoint", folder)
    file = next((run / "versions").glob(f"*/{name}"))
    newest = json.loads((run / "manifest.json").read_bytes())["version"]
    file = run / "versions" / newest / name
    _forge(run, {name: written(edited(json.loads(file.read_bytes()), edits))})
    errors = []
    for read in (lambda: RunOptions.of_run(run), lambda: place_of_run(run), lambda: _go_on(run)):
        try:
            read()
        except dk.DnnkitError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _go_on(run: Path) -> None:
    net = made("within an epoch", "numpy")
    net.fit(*_data(net, (4,)), batch_size=4, epochs=4, verbose=0, checkpoint=run, callbacks=_callbacks())


def _read_weights(case: Any, folder: Path) -> None:
    """A separate safetensors file, loaded into an existing network."""
    net = made("never compiled", "numpy")
    (folder / "weights.safetensors").write_bytes(changed(base("never compiled")["weights.safetensors"], case))
    net.load_weights(folder / "weights.safetensors")
    net.predict(np.ones((2, 3)))


_TENSORS = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(["weights.safetensors", "optimizer.safetensors"]),
    EDITS,
    st.one_of(st.none(), BYTE_EDITS),
)
_MANIFEST = st.tuples(st.sampled_from([*KINDS, "checkpoint"]), EDITS, st.none() | BYTE_EDITS)
_BYTES = st.tuples(st.sampled_from(KINDS), st.integers(0, 99), BYTE_EDITS, st.booleans())
_CHECKPOINT = st.tuples(st.sampled_from(["fit.json", "fit.json", "run.json", "state.json", "architecture.json"]), EDITS)


def _reader(name: str, cases: st.SearchStrategy[Any], read: Callable[[Any, Path], Any], few: int = 40) -> Reader:
    return Reader(name, cases, read, few, prepare=lambda: _prepare("numpy"))


READERS = (
    _json_reader("architecture", "numpy"),
    _json_reader("state", "numpy", "numpy", "numba"),
    _json_reader("history", "numpy", "numba"),
    _reader("tensors", _TENSORS, _read_tensors),
    _reader("weights", BYTE_EDITS, _read_weights),
    _reader("manifest", _MANIFEST, _read_manifest),
    _reader("bytes", _BYTES, _read_bytes),
    _reader("checkpoint", _CHECKPOINT, _read_checkpoint, few=20),
)
"""Return the readers of saves."""
