"""What commands write besides their messages: JSON, to a file or to standard output."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from dnnkit.errors import ConfigurationError


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
        print(json.dumps(result, indent=1))
    else:
        path = Path(target)
        try:
            path.open("a").close()
            yield result
            path.write_text(json.dumps(result, indent=1) + "\n")
        except OSError as error:
            raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error
