"""A mirror on this machine that serves a small data set, correctly or in every wrong way that mirrors can."""

import gzip
import hashlib
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from dnnkit.datasets.idx import IdxFile
from dnnkit.datasets.store import load_pairs
from dnnkit.errors import DataError


def _arrays() -> dict[str, np.ndarray]:
    """The first file does not shrink by gzip, the third a thousand times."""
    rng = np.random.default_rng(5)
    return {
        "train-images-idx3-ubyte": rng.integers(0, 256, (500, 28, 28), np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, 500, np.uint8),
        "t10k-images-idx3-ubyte": np.zeros((2041, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, 2041, np.uint8),
    }


def encode(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


ARRAYS = _arrays()
CONTENTS = {name: encode(array) for name, array in ARRAYS.items()}
PACKED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENTS.items()}
FILES = tuple(
    IdxFile(name, ARRAYS[name].ndim, len(content), hashlib.md5(content).hexdigest())
    for name, content in CONTENTS.items()
)
IMAGES, LABELS = FILES[0].name, FILES[1].name

Answer = Callable[["Handler", bytes], None]
"""Takes the connection and what a good mirror would send, and sends something."""


class Handler(BaseHTTPRequestHandler):
    server: "Mirror"
    protocol_version = "HTTP/1.1"  # a server that keeps the connection open must not make a client wait

    def do_GET(self) -> None:
        path = self.path.rpartition("/")[2]
        self.server.requests.append(self.path)
        try:
            next(self.server.answers)(self, PACKED[path])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has hung up

    def start(self, status: int = 200, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class Mirror(ThreadingHTTPServer):
    """`requests` are the requested paths; `sent` counts the bytes of endless answers; `released` ends every stall."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: Iterator[Answer] = chain(answers, repeat(good))
        self.requests: list[str] = []
        self.sent = 0
        self.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def mirror(*answers: Answer) -> Iterator[Mirror]:
    """A server that gives these answers to its first requests, and good ones to all others."""
    with Mirror(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def load(*mirrors: str) -> None:
    """Load the small data set and check that it is the published one."""
    (x, y), (x_test, y_test) = load_pairs("tiny", FILES, mirrors)
    for array, expected in zip((x, y, x_test, y_test), ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected)


def failure(*mirrors: str) -> str:
    with pytest.raises(DataError) as caught:
        load(*mirrors)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(folder: Path) -> set[str]:
    """All files but the lock, which may remain."""
    return set(os.listdir(folder)) - {".lock"}


# -- answers ---------------------------------------------------------------------------------------------------------


def good(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=len(body))
    handler.wfile.write(body)


def body_is(other: bytes) -> Answer:
    return lambda handler, body: good(handler, other)


def status(code: int) -> Answer:
    return lambda handler, body: handler.start(code, Content_Length=0)


def redirect(url: str) -> Answer:
    return lambda handler, body: handler.start(302, Location=url, Content_Length=0)


def _close(handler: Handler) -> None:
    handler.close_connection = True


def lingers(handler: Handler, body: bytes) -> None:
    """Everything is sent, but the connection stays open."""
    good(handler, body)
    stalls_before_its_headers(handler, body)


def truncated(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=len(body))
    handler.wfile.write(body[:-9])
    _close(handler)


def truncated_without_length(handler: Handler, body: bytes) -> None:
    handler.start(Connection="close")
    handler.wfile.write(body[:-9])


def announces_gigabytes(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=1 << 40)
    handler.wfile.write(body)
    handler.server.released.wait(300)
    _close(handler)


def endless(handler: Handler, body: bytes) -> None:
    """The start of a gzip file whose embedded name never ends: it decompresses to nothing."""
    handler.start(Connection="close")
    handler.wfile.write(b"\x1f\x8b\x08\x08" + bytes(6))
    while handler.server.sent < 1 << 28:
        handler.server.sent += handler.wfile.write(b"n" * 65536)


def stalls_before_its_headers(handler: Handler, body: bytes) -> None:
    handler.server.released.wait(300)
    _close(handler)


def stalls_after_its_headers(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=len(body))
    stalls_before_its_headers(handler, body)


def stalls_half_way(handler: Handler, body: bytes) -> None:
    handler.start(Content_Length=len(body))
    handler.wfile.write(body[: len(body) // 2])
    stalls_before_its_headers(handler, body)


def waits_for_release(handler: Handler, body: bytes) -> None:
    handler.server.released.wait(300)
    good(handler, body)


def drops(handler: Handler, body: bytes) -> None:
    _close(handler)


def talks_another_language(handler: Handler, body: bytes) -> None:
    handler.wfile.write(b"220 mail ready\r\n\r\n")
    _close(handler)
