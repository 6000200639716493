"""Download of one file from one mirror: chunks, verification and progress."""

import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from importlib.util import find_spec
from typing import TypeAlias
from urllib.error import HTTPError, URLError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from dnnkit.datasets.idx import IdxFile, magic

CHUNK = 1 << 16

Report: TypeAlias = Callable[[int, int | None], None]
"""Called with the number of bytes received and, if the server reports it, the total."""


class MirrorFailure(Exception):
    """A mirror failed to provide the file; with `again`, another attempt may succeed."""

    def __init__(self, reason: str, again: bool = False) -> None:
        super().__init__(" ".join(reason.split()))  # one line, whatever the server's answer contains
        self.again = again


def receive(url: str, most: int, timeout: float, report: Report) -> Generator[bytes, None, None]:
    """Yield the contents of the URL in chunks, at most `most` bytes; every failure is a `MirrorFailure`."""
    try:
        request = Request(url, headers={"User-Agent": "dnnkit"})  # noqa: S310 - the opener allows only http and https
        with _opener(url).open(request, timeout=timeout) as response:
            total, received = response.length, 0
            report(received, total)
            while total is None or received < total:
                chunk = response.read1(CHUNK)
                if not chunk:
                    break
                received += len(chunk)
                if max(received, total or 0) > most:
                    raise MirrorFailure(f"sends more than {most:,} bytes, the maximum for this file")
                report(received, total)
                yield chunk
            if total is not None and received < total:
                raise MirrorFailure(f"ended after {received:,} of {total:,} bytes", again=True)
    except HTTPError as error:
        error.close()
        raise MirrorFailure(f"HTTP status {error.code}", again=error.code >= 500 or error.code in (408, 429)) from None
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        if isinstance(cause, TimeoutError):
            reason = f"no data for {timeout:g} s"
        raise MirrorFailure(reason, again=True) from error


def _opener(url: str) -> OpenerDirector:
    """Return an opener for HTTPS with redirects and the user's proxies, and for HTTP only if the URL uses it.

    Unlike urlopen, it cannot be redirected to ftp: or file:, or from https: to http:.
    """
    opener = OpenerDirector()
    plain = () if url.startswith("https:") else (HTTPHandler(),)
    transport = (ProxyHandler(), *plain, HTTPSHandler(), HTTPRedirectHandler())
    for handler in (*transport, HTTPErrorProcessor(), HTTPDefaultErrorHandler(), UnknownHandler()):
        opener.add_handler(handler)
    return opener


class Content:
    """Verifies compressed bytes as they arrive; never decompresses more than one byte beyond the published size."""

    def __init__(self, file: IdxFile) -> None:
        self._file, self._size, self._start = file, 0, b""
        self._unpacker, self._sum = zlib.decompressobj(wbits=31), file.new_sum()

    def add(self, chunk: bytes) -> None:
        """Process a chunk; raise `MirrorFailure` as soon as it cannot be the published file."""
        while chunk:
            if self._unpacker.eof:
                raise MirrorFailure("continues after the end of its gzip data")
            most = min(CHUNK, self._file.bytes + 1 - self._size)
            try:
                unpacked = self._unpacker.decompress(chunk, most)
            except zlib.error as error:
                raise MirrorFailure(f"not a gzip file, or a damaged one: {error}") from error
            self._size += len(unpacked)
            self._start = (self._start + unpacked)[:4]
            self._sum.update(unpacked)
            if self._size > self._file.bytes:
                raise MirrorFailure(f"decompresses to more than the published {self._file.bytes:,} bytes")
            chunk = self._unpacker.unconsumed_tail or self._unpacker.unused_data

    def finish(self) -> None:
        """Raise `MirrorFailure` unless exactly the published bytes were received."""
        expected = magic(self._file.axes)
        if not self._unpacker.eof:
            raise MirrorFailure("ended before the end of its gzip data", again=True)
        if self._start != expected:
            raise MirrorFailure(f"decompressed, it begins with {self._start.hex()}: expected {expected.hex()}")
        if self._size != self._file.bytes:
            raise MirrorFailure(f"decompresses to {self._size:,} bytes: expected {self._file.bytes:,}")
        if self._sum.hexdigest() != self._file.digest:
            raise MirrorFailure(
                f"decompressed, its {self._file.algorithm} sum is {self._sum.hexdigest()}: expected {self._file.digest}"
            )


@contextmanager
def show_progress(url: str) -> Iterator[Report]:
    """Print a line once the mirror answers; on a terminal, also show a progress bar."""

    def announce(received: int, total: int | None) -> None:
        if received == 0:
            size = "" if total is None else f", {total:,} bytes"
            print(f"downloading {url}{size}", file=sys.stderr, flush=True)

    if not sys.stderr.isatty() or find_spec("rich") is None:
        yield announce
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(20), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(url.rpartition("/")[2], total=None)

        def advance(received: int, total: int | None) -> None:
            announce(received, total)  # rich prints it above the bar
            bar.update(task, completed=received, total=total)

        yield advance
