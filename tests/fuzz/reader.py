"""What a fuzzer is told of a reader."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Reader:
    """`read` gives one of `cases` to dnnkit, and does what a user does with the answer; the folder is its own."""

    name: str
    cases: SearchStrategy[Any]
    read: Callable[[Any, Path], Any]
    few: int = 40
    """Cases in the tests that run every time."""
    prepare: Callable[[], Any] = lambda: None
    """What is done before any case: to compile, say, which takes longer than a reader may."""
