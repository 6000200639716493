"""Machine code on disk: a file for each function, whole or not there.

A file's name and content say whose it is; the folder's name says what it was made from, and for which processor.
"""

import hashlib
import json
import logging
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dnnkit.files import replace
from dnnkit.kernels._native.places import SUFFIX, places
from dnnkit.kernels._native.trust import distrust_status

MAGIC = b"dnnkit kernel 2\n"

log = logging.getLogger("dnnkit")


class Code(NamedTuple):
    """A function's machine code: an object file, the function's symbol in it, and what else must be known."""

    symbol: str
    needs: tuple[str, ...]
    content: bytes


def read(name: str) -> Code | None:
    """The code of that name, or None."""
    for folder in places():
        payload = _read(folder / (name + SUFFIX), name)
        if payload is not None:
            head, _, content = payload.partition(b"\n")
            symbol, *needs = json.loads(head)
            return Code(symbol, tuple(needs), content)
    return None


def keep(name: str, code: Code) -> None:
    """Keep the code under a name; a disk that is full costs the next process time, this one nothing."""
    payload = json.dumps([code.symbol, *code.needs]).encode() + b"\n" + code.content
    folder = places()[-1]
    try:
        content = b"".join((MAGIC, _seal(name, payload), payload))
        replace(folder / (name + SUFFIX), content, durable=False, private=True)
    except OSError as error:
        _tell_once(f"compiled kernels cannot be kept in {folder}, training goes on: {error.strerror}")


def lock_of(name: str) -> Path:
    """The file that is locked while the code of that name is made."""
    return places()[-1] / f"{name}.lock"


def _read(path: Path, name: str) -> bytes | None:
    """The content of a file that is whole, of that name, and written by somebody who may."""
    try:
        with path.open("rb", buffering=0) as file:
            if distrust_status(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    start = len(MAGIC) + hashlib.sha256().digest_size
    sealed, payload = content[:start], content[start:]
    return payload if sealed == MAGIC + _seal(name, payload) else None


def _seal(name: str, payload: bytes) -> bytes:
    return hashlib.sha256(b"%s\n%s" % (name.encode(), payload)).digest()


@cache
def _tell_once(text: str) -> None:
    log.warning("dnnkit: %s", text)
