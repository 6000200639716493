"""A save folder whose contents are complete at every moment.

    run/
      manifest.json            the current version, and the size and SHA-256 of each of its files
      versions/000002/         architecture.json  weights.safetensors  optimizer.safetensors  state.json  history.json

A new version is written next to the old one. Atomically replacing the manifest makes it the save; only then is the old
version removed. A reader finds the old save or the new one, never a mixture, and if the writer is killed, the old one
remains. Versions that the manifest does not name are removed by the next save.

Checkpoints keep several earlier versions, which the manifest lists as "older", newest first: if the current version is
damaged, the newest complete one is read.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dnnkit.backends.diagnosis import remark
from dnnkit.errors import CheckpointError
from dnnkit.files import check_writable, largest, read_regular, replace, sync_folder, too_large, write
from dnnkit.saves.kinds import MANIFEST
from dnnkit.saves.schema import LARGEST_JSON, parsed, taken
from dnnkit.settings import shown

FORMAT = 3
"""Format of written files. 2 added sums of an incomplete epoch, the backend and checkpoints; 3 added graphs."""

READABLE = (1, 2, 3)
"""Formats that can be read."""


LARGEST_SAVE = 4 << 30
"""Maximum total size of a save in bytes, unless DNNKIT_LARGEST_FILE overrides it."""


def require_readable(described: Any, what: str) -> None:
    """Raise `CheckpointError` for an unknown format; `described` has `format` and `dnnkit`, its writer."""
    described = described if isinstance(described, Mapping) else {}
    written, writer = described.get("format"), described.get("dnnkit")
    if type(written) is not int or written not in READABLE:
        by = f"dnnkit {writer[:80]}" if isinstance(writer, str) else "a newer dnnkit"
        raise CheckpointError(
            f"{what} was written in format {shown(written)} by {by}; this version reads formats up to {FORMAT}: "
            f"install {by} to read it"
        )


def write_files(folder: Path, files: Mapping[str, bytes], keep: int = 1) -> None:
    """Make these files the folder's save; on failure, clean up and raise `CheckpointError`.

    Of earlier saves, the newest are kept, so that there are `keep` in all.
    """
    from filelock import FileLock

    check_writable(folder)
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # otherwise two writers could use the same version number
            _write_version(folder, files, keep)
    except BaseException as error:
        if is_new:
            _remove_traces(folder)
        if isinstance(error, OSError):
            raise CheckpointError(
                f"cannot write a save to {folder}: {error.strerror}; the previous save there is intact"
            ) from error
        raise


def _write_version(folder: Path, files: Mapping[str, bytes], keep: int) -> None:
    """Write a new version; remove superfluous old ones once the manifest names the new one."""
    old = _own_versions(folder, files)
    kept = _present_versions(folder)[: keep - 1] if keep > 1 else []
    version = f"{int(old[-1].name) + 1 if old else 1:06d}"
    new = folder / "versions" / version
    try:
        new.mkdir(parents=True)
        for name, data in files.items():
            write(new / name, data)
        sync_folder(new)
        sums = {name: {"bytes": len(data), "sha256": _sum(data)} for name, data in files.items()}
        manifest = {"format": FORMAT, "version": version, "files": sums, "older": kept}
        replace(folder / "manifest.json", to_json(manifest))
    except BaseException:
        if _named_version(folder) != version:  # if it does, the version is the save already
            _remove(new)  # on a full disk, leftovers of each attempt would accumulate
        raise
    still_named = {version["version"] for version in kept}
    for path in old:
        if path.name in still_named:
            continue
        _remove(path)
    for path in folder.glob(".manifest.json-*.part"):  # of killed writers, since this one holds the lock
        path.unlink(missing_ok=True)


def _own_versions(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Return the existing versions in order; raise `CheckpointError` for files that no save has written."""
    versions, manifest = folder / "versions", folder / "manifest.json"
    known = set(files)
    if os.path.lexists(manifest):
        try:
            known.update(*(version["files"] for version in _versions(folder)))
        except CheckpointError as error:
            if not versions.is_dir():  # otherwise it is a damaged save, identified by its versions
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
        f"{path} was not written by dnnkit, and a save would replace it: choose another folder, or move it"
    )


def _remove_traces(folder: Path) -> None:
    """Remove what a failed save left in a folder that it created."""
    with suppress(OSError):
        (folder / ".lock").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            (folder / "versions").rmdir()
        folder.rmdir()


def is_save(folder: Path) -> bool:
    """Whether there is a save, intact or damaged."""
    return os.path.lexists(folder / "manifest.json")


def read_files(folder: Path) -> dict[str, bytes]:
    """Read and check the files of the save; fall back to the newest intact version, if several are kept, and log it."""
    while True:
        version, *older = _versions(folder)
        try:
            return _read_version(folder, version)
        except CheckpointError as error:
            if _versions(folder)[0] != version:  # another process has just replaced it
                continue
            for candidate in older:
                with suppress(CheckpointError):
                    files = _read_version(folder, candidate)
                    remark(f"{error}; the earlier version {candidate['version']} is read instead")
                    return files
            raise


def _read_version(folder: Path, version: Mapping[str, Any]) -> dict[str, bytes]:
    files, most = {}, largest(LARGEST_SAVE)
    if (promised := sum(written["bytes"] for written in version["files"].values())) > most:
        raise CheckpointError(f"{folder} is not read: {too_large(promised, most)}")
    for name, written in version["files"].items():
        path = folder / "versions" / version["version"] / name
        try:
            size = path.stat().st_size
            data = files[name] = read_regular(path, written["bytes"], folder) if size == written["bytes"] else b""
        except OSError as error:
            raise CheckpointError(f"{folder} is damaged: {path}: {error.strerror}") from error
        if size != written["bytes"] or _sum(data) != written["sha256"]:
            raise CheckpointError(
                f"{folder} is damaged: {name} has {size} bytes that differ from those written "
                f"({written['bytes']}); restore it from a copy, or train again"
            )
    return files


def to_json(value: Any) -> bytes:
    """Return the contents of a JSON file of the save."""
    return json.dumps(value, indent=1).encode()


def _named_version(folder: Path) -> str | None:
    """Return the version that is the save, if any."""
    with suppress(CheckpointError):
        return str(_versions(folder)[0]["version"])
    return None


def _present_versions(folder: Path) -> list[dict[str, Any]]:
    """Return the versions that the manifest names and whose files exist, newest first."""
    with suppress(CheckpointError):
        return [version for version in _versions(folder) if _is_present(folder, version)]
    return []


def _is_present(folder: Path, version: Mapping[str, Any]) -> bool:
    try:
        place = folder / "versions" / version["version"]
        return all((place / name).stat().st_size == written["bytes"] for name, written in version["files"].items())
    except OSError:
        return False


def _versions(folder: Path) -> list[dict[str, Any]]:
    """Return the manifest's entries for the current version and older ones, newest first."""
    name = "manifest.json"
    try:
        files = {name: read_regular(folder / name, LARGEST_JSON, folder)}
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} is not a save: it has no {name}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {folder / name}: {error.strerror}") from error
    value = parsed(files, name, str(folder))
    manifest = taken(value, MANIFEST, f"{folder} is damaged: {name}")
    require_readable(value, str(folder))
    return [
        {"version": version["version"], "files": version["files"]} for version in (manifest, *manifest.get("older", ()))
    ]


def _remove(folder: Path) -> None:
    import shutil  # imported late: it imports all archive formats

    shutil.rmtree(folder, ignore_errors=True)


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
