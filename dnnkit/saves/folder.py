"""A save folder: files that are whole at every moment, whatever they hold.

    run/
      manifest.json            the current version, and the size and SHA-256 of each of its files
      versions/000002/         architecture.json  weights.safetensors  optimizer.safetensors  state.json  history.json

A new version is written beside the old one. Replacing the manifest, in one step, makes it the save; only then is the
old version removed. A reader finds the old save or the new one, never a mixture, and a writer that is killed leaves the
old one. Versions that no manifest names are removed by the next save.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnnkit.errors import CheckpointError
from dnnkit.files import check_writable, replace, sync_folder, write

FORMAT = 1


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make these files the folder's save; raises `CheckpointError` where that fails, and leaves nothing of it."""
    from filelock import FileLock

    check_writable(folder)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # two writers would take the same version number
            _write_version(folder, files)
    except BaseException as error:
        if is_new:
            _remove_traces(folder)
        if isinstance(error, OSError):
            raise CheckpointError(
                f"cannot write a save to {folder}: {error.strerror}; what was saved there before is still whole"
            ) from error
        raise


def _write_version(folder: Path, files: Mapping[str, bytes]) -> None:
    """Beside the old versions, which are removed once the manifest names the new one."""
    old = _own_versions(folder, files)
    version = f"{int(old[-1].name) + 1 if old else 1:06d}"
    new = folder / "versions" / version
    try:
        new.mkdir(parents=True)
        for name, data in files.items():
            write(new / name, data)
        sync_folder(new)
        sums = {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in files.items()}
        replace(folder / "manifest.json", to_json({"format": FORMAT, "version": version, "files": sums}))
    except BaseException:
        if _named_version(folder) != version:  # else it is the save already, and only the disk was not told yet
            shutil.rmtree(new, ignore_errors=True)  # on a full disk each attempt would make it fuller
        raise
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(".manifest.json-*.part"):  # of writers that were killed: no other has the lock
        path.unlink(missing_ok=True)


def _own_versions(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """The versions that are there, in their order; `CheckpointError` for anything that no save of ours left there."""
    versions, manifest = folder / "versions", folder / "manifest.json"
    known = set(files)
    if os.path.lexists(manifest):
        try:
            known |= set(_read_manifest(folder)["files"])
        except CheckpointError as error:
            if not versions.is_dir():  # else it is a damaged save, whose versions tell whose it is
                raise _foreign(manifest) from error
    if not os.path.lexists(versions):
        return []
    if versions.is_symlink() or not versions.is_dir():
        raise _foreign(versions)
    found = sorted(versions.iterdir())
    for path in found:
        plain = path.is_dir() and not path.is_symlink() and re.fullmatch(r"\d{6}", path.name)
        if not plain or any(
            part.is_symlink() or not part.is_file() or part.name not in known for part in path.iterdir()
        ):
            raise _foreign(path)
    return found


def _foreign(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is not of a save that dnnkit wrote, and a new one would replace it: choose another folder, or move it"
    )


def _remove_traces(folder: Path) -> None:
    """What a save that failed made of a folder that was not there."""
    with suppress(OSError):
        (folder / ".lock").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (folder / "versions").rmdir()
        folder.rmdir()


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


def to_json(value: Any) -> bytes:
    """The contents of a JSON file of the save."""
    return json.dumps(value, indent=1).encode()


def _named_version(folder: Path) -> str | None:
    """The version that is the save, if there is one."""
    with suppress(CheckpointError):
        return str(_read_manifest(folder)["version"])
    return None


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
