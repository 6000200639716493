"""What commands write besides their messages: JSON, to a file or to standard output."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from dnnkit.config import without_nan
from dnnkit.errors import ConfigurationError
from dnnkit.saving import check_writable


@contextmanager
def json_output(target: str | None) -> Iterator[dict[str, Any]]:
    """A dictionary to fill in; it is written when the block ends well. `-` stands for standard output.

    The target is tried before the block runs, so that no work is done in vain; while `-` is the target, all else that
    is printed goes to standard error.
    """
    result: dict[str, Any] = {}
    if target is None:
        yield result
    elif target == "-":
        with redirect_stdout(sys.stderr):
            yield result
        print(_text(result))
    else:
        path = Path(target)
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise ConfigurationError(f"cannot write {path}: expected a file in a folder that exists")
        check_writable(path.absolute().parent)
        yield result
        try:
            path.write_text(_text(result) + "\n")
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error


def _text(result: dict[str, Any]) -> str:
    return json.dumps(without_nan(result), indent=1, allow_nan=False)
