"""Files that are replaced as a whole, and where caches are kept.

A leaf: it imports nothing but `dnnkit.errors`, so that kernels and backends may use it too.
"""

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dnnkit.errors import CheckpointError, ConfigurationError


def as_path(given: Any) -> Path:
    """The path that was given; `ConfigurationError` for what is none."""
    try:
        path = Path(given)
    except TypeError:
        raise ConfigurationError(
            f"path is {given!r}: expected the name of a file or folder, as text or a Path"
        ) from None
    if "\0" in str(path):
        raise ConfigurationError(f"path is {str(path)!r}: expected a name without the character 0")
    return path


@contextmanager
def replacing(path: Path, *, durable: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """A file to write to, which takes the path's place when the block ends well; else nothing is left of it.

    The path has its old contents or the new ones at any moment, if `durable` also after a power failure. Nobody else
    may read or write it if it is `private`.
    """
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}.part")
    mode = 0o600 if private else 0o666  # less what the user's umask says
    try:
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            if durable:
                _flush(file)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def replace(path: Path, data: bytes, *, durable: bool = True, private: bool = False) -> None:
    """Give a file these contents, as `replacing` does."""
    with replacing(path, durable=durable, private=private) as file:
        file.write(data)


def write(path: Path, data: bytes) -> None:
    """Write a new file through to the disk."""
    with path.open("wb") as file:
        file.write(data)
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())  # some file systems report a full disk only here


def sync_folder(folder: Path) -> None:
    """Write the folder's list of files through to the disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_all(files: Mapping[Path, bytes]) -> None:
    """Replace each of these files, making their folders where needed; `CheckpointError` where that fails."""
    for path, data in files.items():
        if not path.name:
            raise CheckpointError(f"cannot write {path}: it is a folder; name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, data)
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror}; choose a place you may write to") from error


def check_writable(folder: Path) -> None:
    """Raise `CheckpointError` where the folder, which need not exist, cannot be written to; leaves nothing behind."""
    import tempfile  # only what writes needs it, and `import dnnkit` should not take longer

    parent = folder
    try:
        parent = nearest_existing(folder)
        with tempfile.TemporaryFile(dir=parent):  # which has no name, where the system can
            pass
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {folder}: {error.strerror} ({parent}); choose a folder you may write to"
        ) from error


def nearest_existing(path: Path) -> Path:
    """The path if it exists, else the nearest of its parents that does."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def make_private(folder: Path) -> None:
    """Make the folder, and those of its parents that are missing, for this user alone."""
    for path in (*reversed(folder.parents), folder):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a folder")
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def cache_folder() -> Path:
    """The folder for what can be made or downloaded again; it need not exist. `$DNNKIT_CACHE_DIR`, else the user's."""
    given = os.environ.get("DNNKIT_CACHE_DIR")
    return Path(os.path.expanduser(given)).absolute() if given else user_cache_folder()


def user_cache_folder() -> Path:
    """dnnkit's folder in the user's cache: in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if cache.startswith("~"):  # a user without a home, as containers have: a folder of that name helps nobody
        return temporary_cache_folder()
    return Path(cache) / "dnnkit"


def temporary_cache_folder() -> Path:
    """The user's folder where there is no other: in the temporary folder, which all users share."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"dnnkit-{user}"
