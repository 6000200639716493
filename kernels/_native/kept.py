"""Disk cache of machine code: one file per function, complete or absent.

The name and content of a file identify its function; the folder's name identifies sources and processor.
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
    """Machine code of a function: an object file, the function's symbol in it, and the symbols it needs."""

    symbol: str
    needs: tuple[str, ...]
    content: bytes


def read(name: str) -> Code | None:
    """Return the code of this name, or None."""
    for folder in places():
        payload = _read(folder / (name + SUFFIX), name)
        if payload is not None:
            head, _, content = payload.partition(b"\n")
            symbol, *needs = json.loads(head)
            return Code(symbol, tuple(needs), content)
    return None


def keep(name: str, code: Code) -> None:
    """Store code under a name. On a full disk nothing is stored, and the next process compiles again."""
    payload = json.dumps([code.symbol, *code.needs]).encode() + b"\n" + code.content
    folder = places()[-1]
    try:
        content = b"".join((MAGIC, _seal(name, payload), payload))
        replace(folder / (name + SUFFIX), content, durable=False, private=True)
    except OSError as error:
        _tell_once(f"compiled kernels cannot be stored in {folder}, training continues: {error.strerror}")


def lock_of(name: str) -> Path:
    """Return the path of the lock held while the code of this name is compiled."""
    return places()[-1] / f"{name}.lock"


def _read(path: Path, name: str) -> bytes | None:
    """Return the content of a file if it is complete, of this name, and from a trusted owner."""
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
