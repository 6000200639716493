"""What commands write: messages, and JSON or other text, to a file or to standard output."""

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
    """Print progress messages; if standard output breaks, stop printing and let the work continue."""

    def __init__(self, is_quiet: bool) -> None:
        self._is_silent = is_quiet

    def __call__(self, text: str) -> None:
        """Print a line on standard output."""
        if self._is_silent:
            return
        try:
            typer.echo(text)
        except OSError as error:
            self._is_silent = True
            send_to_nowhere()
            log.warning("dnnkit: cannot write to standard output (%s): the work continues without messages", error)


def send_to_nowhere() -> None:
    """Redirect standard output to the null device, including what Python has buffered."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@contextmanager
def json_output(target: str | None) -> Iterator[dict[str, Any]]:
    """Yield a dictionary to fill in, and write it as JSON if the block succeeds. `-` is standard output.

    The target is checked before the block runs, so that no work is lost to a bad path. With `-`, everything else that
    is printed goes to standard error.
    """
    result: dict[str, Any] = {}
    with text_output(target) as parts:
        yield result
        from dnnkit.saves.serialization import without_nan  # `dnnkit --help` does not import NumPy

        parts.append(json.dumps(without_nan(result), indent=1, allow_nan=False))


@contextmanager
def text_output(target: str | None) -> Iterator[list[str]]:
    """Yield a list of texts to fill in; it is written as in `json_output`, followed by a line end."""
    parts: list[str] = []
    if target is None:
        yield parts
    elif target == "-":
        with redirect_stdout(sys.stderr):
            yield parts
        print("".join(parts))
    else:
        path = as_path(target)
        if os.path.isdir(path) or not os.path.isdir(path.absolute().parent):  # unlike Path.is_dir, never raises
            raise ConfigurationError(f"cannot write {path}: expected a file in a folder that exists")
        check_writable(path.absolute().parent)
        yield parts
        try:
            path.write_text("".join(parts) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error
