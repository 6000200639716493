"""Files that are replaced as a whole, files of strangers that are read within bounds, and where caches are kept.

A leaf: it imports nothing but `dnnkit.errors`, so that kernels and backends may use it too.
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
    """The path that was given; `ConfigurationError` for what is none."""
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
        raise ConfigurationError(f"path is {str(path)!r}: expected a name without the character 0, nor half of one")
    return path


# -- reading what may be a stranger's --------------------------------------------------------------------------------

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def largest(default: int) -> int:
    """Bytes that a file, or all files of a save, may have: `$DNNKIT_LARGEST_FILE`, as "8 GiB", else the default."""
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
    """What to say of what has, or promises, more bytes than are read."""
    return (
        f"it has {size:,} bytes, more than the {most:,} that are read: if you trust it, set the environment variable "
        f"DNNKIT_LARGEST_FILE to '{-(-size >> 20) if size > 0 else 0} MiB' or more"
    )


def open_regular(path: Path, most: int, inside: Path | None = None) -> BinaryIO:
    """Open a regular file of at most so many bytes; raises OSError for a pipe, a device, a folder, or more bytes.

    With `inside`, a link that leads out of that folder is refused, too. Nothing is waited for.
    """
    name = os.path.realpath(path)
    if inside is not None and not Path(name).is_relative_to(os.path.realpath(inside)):
        raise OSError(errno.ELOOP, f"it is a link out of {inside}", str(path))
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    _check_regular(os.stat(name), path)  # opening a device may do something
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
    """The contents of a file, as `open_regular` opens it; of one that grows meanwhile, no more than it had."""
    with open_regular(path, most, inside) as file:
        return file.read(os.fstat(file.fileno()).st_size)


# -- writing ---------------------------------------------------------------------------------------------------------


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


# -- caches ----------------------------------------------------------------------------------------------------------


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
