"""What commands write besides their messages: JSON or other text, to a file or to standard output."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import typer

from dnnkit.errors import ConfigurationError
from dnnkit.files import as_path, check_writable

log = logging.getLogger("dnnkit")


class Speaker:
    """Says what a command does, until nobody can hear it any more: the work goes on."""

    def __init__(self, is_quiet: bool) -> None:
        self._is_silent = is_quiet

    def __call__(self, text: str) -> None:
        """A line on standard output."""
        if self._is_silent:
            return
        try:
            typer.echo(text)
        except OSError as error:
            self._is_silent = True
            send_to_nowhere()
            log.warning("dnnkit: nothing more is said, the work goes on: %s", error)


def send_to_nowhere() -> None:
    """Let standard output lose what is written to it from now on, and what Python still holds back."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@contextmanager
def json_output(target: str | None) -> Iterator[dict[str, Any]]:
    """A dictionary to fill in; it is written when the block ends well. `-` stands for standard output.

    The target is tried before the block runs, so that no work is done in vain; while `-` is the target, all else that
    is printed goes to standard error.
    """
    result: dict[str, Any] = {}
    with text_output(target) as parts:
        yield result
        from dnnkit.saves.serialization import without_nan  # `dnnkit --help` does without NumPy

        parts.append(json.dumps(without_nan(result), indent=1, allow_nan=False))


@contextmanager
def text_output(target: str | None) -> Iterator[list[str]]:
    """A list of texts to fill in, written like `json_output`'s dictionary, a line end after them."""
    parts: list[str] = []
    if target is None:
        yield parts
    elif target == "-":
        with redirect_stdout(sys.stderr):
            yield parts
        print("".join(parts))
    else:
        path = as_path(target)
        if os.path.isdir(path) or not os.path.isdir(path.absolute().parent):  # which raise nothing for long names
            raise ConfigurationError(f"cannot write {path}: expected a file in a folder that exists")
        check_writable(path.absolute().parent)
        yield parts
        try:
            path.write_text("".join(parts) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error
