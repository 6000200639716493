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
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnnkit.errors import CheckpointError
from dnnkit.files import check_writable, replace, sync_folder, write

FORMAT = 1


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
            new = versions / version
            new.mkdir(parents=True)
            for name, data in files.items():
                write(new / name, data)
            sync_folder(new)
            sums = {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in files.items()}
            replace(folder / "manifest.json", to_json({"format": FORMAT, "version": version, "files": sums}))
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


def to_json(value: Any) -> bytes:
    """The contents of a JSON file of the save."""
    return json.dumps(value, indent=1).encode()


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
