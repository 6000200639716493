"""A save folder: whole at every moment, no pickle.

    run/
      manifest.json            which version is the save, and the size and SHA-256 of each of its files
      versions/000002/         architecture.json  weights.safetensors  optimizer.safetensors  state.json  history.json

A new save is written beside the old one; replacing the manifest, in one step, makes it the save; only then is the old
version removed. Whoever reads finds the old one or the new one, never a mixture; a writer that is killed leaves the
old one. Versions that no manifest names are removed by the next save.
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnnkit.backends.program import HostArray, Snapshot, TrainingState
from dnnkit.errors import CheckpointError, DnnkitError, TrainingWarning
from dnnkit.formula import Formula
from dnnkit.initializers import INITIALIZERS
from dnnkit.layers import LAYERS
from dnnkit.losses import LOSSES, KernelLoss
from dnnkit.optimizers import OPTIMIZERS
from dnnkit.saves import serialization
from dnnkit.schedules import SCHEDULES
from dnnkit.training.history import History

if TYPE_CHECKING:
    from dnnkit.network.sequential import Sequential

FORMAT = 1
KNOWN: dict[str, type] = {
    **LAYERS,
    "Formula": Formula,
    **SCHEDULES,
    **{kind.__name__: kind for kind in (*LOSSES.values(), *OPTIMIZERS.values(), KernelLoss) if isinstance(kind, type)},
    **{type(initializer).__name__: type(initializer) for initializer in INITIALIZERS.values()},
}


# -- a network as files ----------------------------------------------------------------------------------------------


def save_network(net: "Sequential", path: str | Path) -> None:
    """Write everything that is needed to predict and to train on exactly as if there had been no pause."""
    from dnnkit import __version__

    snapshot = net.executable.snapshot()
    architecture = {
        "format": FORMAT,
        "dnnkit": __version__,
        "layers": serialization.describe(net.layers),
        "input_shape": net.input_shape,
        "dtype": net.dtype,
        "seed": net.seed,
        "num_threads": net.num_threads,
        "loss": serialization.describe(net.loss),
        "optimizer": serialization.describe(net.optimizer) if net.is_compiled else None,
        "metrics": [metric if isinstance(metric, str) else metric.__name__ for metric in net.metrics],
    }
    write_files(
        Path(path),
        {
            "architecture.json": _json(architecture),
            "weights.safetensors": _tensors(snapshot.parameters),
            "optimizer.safetensors": _tensors(snapshot.slots),
            "state.json": _json({**asdict(snapshot.state), "plan": asdict(net.executable.plan)}),
            "history.json": _json(net.history.to_json()),
        },
    )


def load_network(path: str | Path, backend: str | None, custom_objects: Mapping[str, Any] | None) -> "Sequential":
    """The network of a save folder, ready to predict and to train on."""
    from dnnkit.network.sequential import Sequential

    files = read_files(Path(path))
    custom = dict(custom_objects or {})
    known = {**KNOWN, **custom}
    try:
        architecture = json.loads(files["architecture.json"])
        if architecture["format"] != FORMAT:
            raise CheckpointError(
                f"{path} was written in format {architecture['format']} by dnnkit {architecture['dnnkit']}; this "
                f"version reads format {FORMAT}: install that version to read it"
            )
        net = Sequential(
            serialization.rebuild(architecture["layers"], known),
            backend=backend,
            seed=architecture["seed"],
            dtype=architecture["dtype"],
            num_threads=architecture["num_threads"],
        )
        if architecture["optimizer"] is not None:
            with warnings.catch_warnings():  # whoever compiled it was warned
                warnings.simplefilter("ignore", TrainingWarning)
                net.compile(
                    optimizer=serialization.rebuild(architecture["optimizer"], known),
                    loss=serialization.rebuild(architecture["loss"], known),
                    metrics=[custom.get(name, name) for name in architecture["metrics"]],
                )
        net.build(tuple(architecture["input_shape"]))
        state = json.loads(files["state.json"])
        state.pop("plan")
        parameters, slots = _arrays(files["weights.safetensors"]), _arrays(files["optimizer.safetensors"])
        _check_parameters(net, parameters, str(path))
        net.executable.restore(Snapshot(parameters, slots, TrainingState(**state)))
        net.history = History.from_json(json.loads(files["history.json"]))
    except DnnkitError:
        raise
    except Exception as error:  # files with right sums but contents that no dnnkit wrote
        raise CheckpointError(f"{path} is not a save that this version can read: {error!r}") from error
    return net


def save_weights(net: "Sequential", path: str | Path) -> None:
    """Write the parameters alone, as one safetensors file."""
    replace_files({Path(path): _tensors(net.executable.snapshot().parameters)})


def load_weights(net: "Sequential", path: str | Path) -> None:
    """Read the parameters from a safetensors file or from a save folder."""
    path = Path(path)
    try:
        data = read_files(path)["weights.safetensors"] if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    parameters = _arrays(data, str(path))
    _check_parameters(net, parameters, str(path))
    net.set_parameters(parameters)


def _check_parameters(net: "Sequential", parameters: Mapping[str, HostArray], path: str) -> None:
    wanted = {parameter.name: parameter.shape for parameter in net.executable.program.parameters}
    found = {name: array.shape for name, array in parameters.items()}
    if wanted != found:
        raise CheckpointError(f"{path} holds parameters {found}, but the network has {wanted}: they do not fit")


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def _tensors(arrays: Mapping[str, HostArray]) -> bytes:
    from safetensors.numpy import save

    return save(dict(arrays))


def _arrays(data: bytes, path: str = "") -> dict[str, HostArray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(data)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is not a safetensors file: {error}") from error


# -- files as a whole ------------------------------------------------------------------------------------------------


def check_writable(folder: Path) -> None:
    """Raise `CheckpointError` if a save could not be written there; leaves nothing behind."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    probe = place / f".writable-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {folder}: {error.strerror} ({place}); choose a folder you may write to"
        ) from error


def replace_files(files: Mapping[Path, bytes]) -> None:
    """Write single files, each of which has its old contents or the new ones at any moment."""
    for path, data in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, data)
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror}; choose a place you may write to") from error


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make these files the folder's save."""
    from filelock import FileLock

    check_writable(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # two writers would take the same version number
            versions = folder / "versions"
            present = sorted(int(entry.name) for entry in versions.glob("[0-9]*")) if versions.exists() else []
            version = f"{(present[-1] if present else 0) + 1:06d}"
            place = versions / version
            place.mkdir(parents=True)
            for name, data in files.items():
                _write(place / name, data)
            _sync(place)
            sums = {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in files.items()}
            _replace(folder / "manifest.json", _json({"format": FORMAT, "version": version, "files": sums}))
            for number in present:
                shutil.rmtree(versions / f"{number:06d}", ignore_errors=True)
    except OSError as error:
        raise CheckpointError(
            f"cannot write a save to {folder}: {error.strerror}; what was saved there before is still whole"
        ) from error


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of the folder's save, checked."""
    manifest = _read_manifest(folder)
    while True:
        version = manifest["version"]
        try:
            files = {name: (folder / "versions" / version / name).read_bytes() for name in manifest["files"]}
            break
        except OSError as error:
            manifest = _read_manifest(folder)
            if manifest["version"] == version:  # else another process has just replaced it: read the new one
                raise CheckpointError(f"{folder} is damaged: {error.filename}: {error.strerror}") from error
    for name, data in files.items():
        if _sum(data) != manifest["files"][name]["sha256"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has {len(data)} bytes that are not those that were written "
                f"({manifest['files'][name]['bytes']}); restore it from a copy, or train again"
            )
    return files


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        if not isinstance(manifest["version"], str) or not manifest["version"].isdigit():
            raise ValueError("no version")
        if any(os.path.basename(name) != name for name in manifest["files"]):
            raise ValueError("file names with folders")
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a save: it has no manifest.json") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {folder}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder} is damaged: manifest.json cannot be understood ({error})") from error
    return dict(manifest)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes) -> None:
    """The file has its old contents or the new ones at any moment, also after a power failure."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        _write(temporary, data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
