"""The table, made by running its rows."""

import os
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import pytest

from dnnkit.errors import DnnkitError
from tests.dnnkit.cli.command import dnnkit
from tests.errors.rows import PREPARED, ROWS

FILE = Path(__file__).parents[2] / "docs" / "errors.md"

HEAD = """# What is said of what cannot work

Every error of dnnkit is a `dnnkit.errors.DnnkitError` and says what was given, what was expected and what to do. On the
command line it is one line on standard error, with exit status 2. This table is made by running its rows
(`python -m tests.errors`), and a test holds it; `x` is an array of shape (6, 4), `y` has labels from 0 to 2, `net` is
trained on them, `new()` makes a network that is not built, `run` is a save, `other` a folder of somebody else.
"""


def said(row: str, folder: Path) -> str:
    """Return the class of the error, or the status of the command, and the message."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(folder)
        names: dict[str, Any] = {}
        exec(PREPARED, names)
        if row.startswith("dnnkit "):
            done = dnnkit(folder, *shlex.split(row)[1:], DNNKIT_BACKEND="numpy")
            lines = [line.strip(" │╭╰─╮╯") for line in done.stderr.splitlines()]
            kept = [line for line in lines if line and not line.startswith(("Usage", "Try", "Error"))]
            return f"status {done.returncode}: {' '.join(kept)}"
        try:
            eval(row, names)
        except DnnkitError as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:  # a fault
            return f"RAW {error!r}"
    return "NOTHING"


def table(folder: Path) -> str:
    """Return the document."""
    text, number = HEAD, 0
    environment = dict(os.environ)
    for subject, rows in ROWS.items():
        text += f"\n## {subject}\n\n| what | what is said |\n| --- | --- |\n"
        for row in rows:
            number += 1
            place = folder / str(number)
            place.mkdir()
            try:
                words = said(row, place)
            finally:
                os.environ.clear()
                os.environ.update(environment)
            words = re.sub(r"\s+", " ", words.replace(f"{place}/", "")).replace("|", "\\|")
            words = re.sub(r"(; cupy does not: ).*", r"\1…", words)  # what is missing differs between machines
            text += f"| `{row}` | {words} |\n"
    return text
