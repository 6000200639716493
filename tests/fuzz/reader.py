"""What a fuzzer knows about a reader."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Reader:
    """`read` passes one of `cases` to dnnkit, and does with the answer what a user does; the folder is private."""

    name: str
    cases: SearchStrategy[Any]
    read: Callable[[Any, Path], Any]
    few: int = 40
    """Cases in the tests that run every time."""
    prepare: Callable[[], Any] = lambda: None
    """Work to do before any case, such as compiling, which takes longer than a reader may."""
