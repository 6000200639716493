"""Downloads of data files: mirrors are tried in turn; a file gets its name only once all of its bytes are verified.

Everything is bounded: the time without data, the attempts, and the number of bytes written and decompressed.
"""

import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import sleep
from urllib.parse import urlsplit

from dnnkit.datasets.idx import IdxFile, find_file
from dnnkit.datasets.mirror import Content, MirrorFailure, Report, receive, show_progress
from dnnkit.errors import DataError
from dnnkit.files import cache_folder, make_private, replacing

TIMEOUT = 30.0
"""Timeout in seconds without an answer or data; `DNNKIT_DOWNLOAD_TIMEOUT` overrides it."""

PAUSES = (0.5, 1.0)
"""Pauses in seconds between attempts at a mirror; there is one more attempt than pauses."""


def download_missing(name: str, folder: Path, files: Sequence[IdxFile], mirrors: Sequence[str]) -> None:
    """Download missing files as `<file>.gz`; of several processes, one downloads while the others wait."""
    mirrors, timeout = _chosen_mirrors(name, mirrors), _timeout()
    try:
        if folder.parent == cache_folder():
            make_private(folder.parent)  # otherwise compiled kernels in it would not be trusted
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(name, folder):
            for leftover in folder.glob(".*.part"):  # of a killed process: this one holds the lock
                leftover.unlink()
            for file in files:
                if find_file(folder, file.name) is None:  # another process may have downloaded it meanwhile
                    good = _download(name, folder, files, file, mirrors, timeout)
                    mirrors = sorted(
                        mirrors, key=lambda mirror: mirror != good
                    )  # try the working one first from now on
    except (OSError, NotImplementedError) as error:  # the latter from filelock, if the file system has no locks
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot write {name} to {folder}: {reason}; free some space or change its permissions, or set "
            "DNNKIT_DATA_DIR to another folder"
        ) from error


def _chosen_mirrors(name: str, mirrors: Sequence[str]) -> Sequence[str]:
    own = os.environ.get("DNNKIT_MIRROR")
    if not own:
        return mirrors
    if urlsplit(own).scheme not in ("http", "https"):
        raise DataError(
            f"DNNKIT_MIRROR is {own!r}: expected a URL beginning with http:// or https://; for a folder set "
            "DNNKIT_DATA_DIR"
        )
    return [f"{own.rstrip('/')}/{name}"]


def _timeout() -> float:
    given = os.environ.get("DNNKIT_DOWNLOAD_TIMEOUT")
    if not given:
        return TIMEOUT
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise DataError(f"DNNKIT_DOWNLOAD_TIMEOUT is {given!r}: expected seconds, more than 0 and at most 86400")
    return seconds


@contextmanager
def _lock(name: str, folder: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process to download {name} to {folder}", file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(
    name: str, folder: Path, files: Sequence[IdxFile], file: IdxFile, mirrors: Sequence[str], timeout: float
) -> str:
    """Download a file from the first mirror that works; return that mirror."""
    failures = []
    for mirror in mirrors:
        url = f"{mirror.rstrip('/')}/{file.name}.gz"
        for pause in (*PAUSES, None):
            try:
                with show_progress(url) as report:
                    _store(url, folder, file, timeout, report)
                return mirror
            except MirrorFailure as failure:
                tries = f" ({len(PAUSES) + 1} tries)" if failure.again else ""
                reason, again = f"{url}: {failure}{tries}", failure.again
            if not again or pause is None:
                break
            sleep(pause)
        failures.append(reason)
    raise DataError(f"{name} is not in {folder}; {'; '.join(failures)}. {_advice(name, folder, files)}")


def _store(url: str, folder: Path, file: IdxFile, timeout: float, report: Report) -> None:
    """Store the file under its name if the mirror sends the published bytes; otherwise leave nothing behind."""
    content = Content(file)
    most = int(1.2 * file.bytes) + (1 << 20)
    with (
        replacing(folder / f"{file.name}.gz") as target,
        closing(receive(url, most, timeout, report)) as chunks,
    ):
        for chunk in chunks:
            content.add(chunk)
            target.write(chunk)
        content.finish()


def _advice(name: str, folder: Path, files: Sequence[IdxFile]) -> str:
    """Return what to do manually about the missing files."""
    missing = [f"{file.name}.gz" for file in files if find_file(folder, file.name) is None]
    return f"Put {', '.join(missing)} there, or set DNNKIT_DATA_DIR to the folder that holds {name}/"
