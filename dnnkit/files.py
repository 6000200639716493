"""Atomic replacement of files, bounded reads of untrusted files, and cache folders.

A leaf module: it imports only `dnnkit.errors`, so that kernels and backends may use it too.
"""

import errno
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dnnkit.errors import CheckpointError, ConfigurationError


def as_path(given: Any) -> Path:
    """Convert the argument to a path; raise `ConfigurationError` if that is impossible."""
    try:
        path = Path(given)
    except TypeError:
        raise ConfigurationError(
            f"path is {given!r}: expected the name of a file or folder, as text or a Path"
        ) from None
    try:
        usable = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ConfigurationError(f"path is {str(path)!r}: expected a name without null characters or lone surrogates")
    return path


# -- reading untrusted files -----------------------------------------------------------------------------------------

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def largest(default: int) -> int:
    """Return the size limit of a file, or of all files of a save: `$DNNKIT_LARGEST_FILE` ("8 GiB") or the default."""
    given = os.environ.get("DNNKIT_LARGEST_FILE")
    if not given:
        return default
    found = re.fullmatch(r"\s*([0-9]{1,15})\s*(|[KMGT]iB)\s*", given)
    if found is None:
        raise ConfigurationError(
            f"DNNKIT_LARGEST_FILE is {given[:80]!r}: expected a whole number of bytes, KiB, MiB, GiB or TiB, "
            "such as '8 GiB'"
        )
    return int(found[1]) * UNITS[found[2]]


def too_large(size: int, most: int) -> str:
    """Return the error text for a file that has, or declares, more bytes than the limit."""
    return (
        f"it has {size:,} bytes, more than the limit of {most:,}: if you trust it, set the environment variable "
        f"DNNKIT_LARGEST_FILE to '{-(-size >> 20) if size > 0 else 0} MiB' or more"
    )


def open_regular(path: Path, most: int, inside: Path | None = None) -> BinaryIO:
    """Open a regular file of at most `most` bytes; raise OSError for a pipe, device, folder or larger file.

    With `inside`, also refuse a link that leads out of that folder. Never blocks.
    """
    name = os.path.realpath(path)
    if inside is not None and not Path(name).is_relative_to(os.path.realpath(inside)):
        raise OSError(errno.ELOOP, f"it is a link out of {inside}", str(path))
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    _check_regular(os.stat(name), path)  # before opening, because opening a device can have side effects
    file = os.fdopen(os.open(name, flags), "rb")
    try:
        found = os.fstat(file.fileno())
        _check_regular(found, path)
        if found.st_size > most:
            raise OSError(errno.EFBIG, too_large(found.st_size, most), str(path))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(found: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a device or a socket"
        raise OSError(errno.EINVAL, f"it is {kind}: expected a regular file", str(path))


def read_regular(path: Path, most: int, inside: Path | None = None) -> bytes:
    """Return the contents of a file opened by `open_regular`; if it grows meanwhile, only its initial size is read."""
    with open_regular(path, most, inside) as file:
        return file.read(os.fstat(file.fileno()).st_size)


# -- writing ---------------------------------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path, *, durable: bool = True, private: bool = False) -> Iterator[BinaryIO]:
    """Yield a file to write to, which replaces `path` when the block succeeds and is removed otherwise.

    At any moment, the path has either its old or its new contents, if `durable` also after a power failure. If
    `private`, only the current user may read or write it.
    """
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}.part")
    mode = 0o600 if private else 0o666  # further restricted by the umask
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
    """Atomically replace the contents of a file, as `replacing` does."""
    with replacing(path, durable=durable, private=private) as file:
        file.write(data)


def write(path: Path, data: bytes) -> None:
    """Write a new file and flush it to disk."""
    with path.open("wb") as file:
        file.write(data)
        _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())  # some file systems report a full disk only now


def sync_folder(folder: Path) -> None:
    """Flush the folder's directory entries to disk."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_all(files: Mapping[Path, bytes]) -> None:
    """Replace each of these files, creating folders as needed; raise `CheckpointError` on failure."""
    for path, data in files.items():
        if not path.name:
            raise CheckpointError(f"cannot write {path}: it is a folder; name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, data)
        except OSError as error:
            raise CheckpointError(f"cannot write {path}: {error.strerror}; choose a place you may write to") from error


def check_writable(folder: Path) -> None:
    """Raise `CheckpointError` if the folder, which need not exist, is not writable; leaves nothing behind."""
    import tempfile  # imported late to keep `import dnnkit` fast

    parent = folder
    try:
        parent = nearest_existing(folder)
        with tempfile.TemporaryFile(dir=parent):  # unnamed, where the system supports it
            pass
    except OSError as error:
        raise CheckpointError(
            f"cannot write to {folder}: {error.strerror} ({parent}); choose a folder you may write to"
        ) from error


def nearest_existing(path: Path) -> Path:
    """Return the path if it exists, otherwise its nearest existing parent."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


# -- caches ----------------------------------------------------------------------------------------------------------


def make_private(folder: Path) -> None:
    """Create the folder and its missing parents with access for the current user only."""
    for path in (*reversed(folder.parents), folder):
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{path} is not a folder")
        if not path.exists():
            path.mkdir(mode=0o700, exist_ok=True)


def cache_folder() -> Path:
    """Return the folder for regenerable files, which may not exist: `$DNNKIT_CACHE_DIR`, or the user's cache."""
    given = os.environ.get("DNNKIT_CACHE_DIR")
    return Path(os.path.expanduser(given)).absolute() if given else user_cache_folder()


def user_cache_folder() -> Path:
    """Return dnnkit's folder in the user's cache: in `$XDG_CACHE_HOME` or `~/.cache`."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if cache.startswith("~"):  # a user without a home folder, as in some containers
        return temporary_cache_folder()
    return Path(cache) / "dnnkit"


def temporary_cache_folder() -> Path:
    """Return a per-user folder in the system's temporary folder, for users without a home folder."""
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"dnnkit-{user}"
