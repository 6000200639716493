"""docs/errors.md is up to date, and every public name has a row."""

import inspect
import subprocess
import sys
from pathlib import Path

import dnnkit as dk
from dnnkit.cli import app
from tests.errors.rows import REFUSE_NOTHING, ROWS
from tests.errors.table import FILE


def test_every_row_gives_the_message_of_the_table(tmp_path: Path) -> None:
    target = tmp_path / "errors.md"  # in its own process, where no other test has defined a name
    subprocess.run([sys.executable, "-m", "tests.errors", target], cwd=FILE.parents[1], check=True, capture_output=True)
    made = target.read_text()
    for line in made.splitlines():
        assert not line.endswith("| NOTHING |"), line
        assert "| RAW " not in line, line
        assert "| status 0" not in line, line
    assert made == FILE.read_text(), "regenerate it: python -m tests.errors"


def test_everything_public_has_a_row() -> None:
    text = "\n".join(row for rows in ROWS.values() for row in rows)
    names = {f"dk.{name}": name for name in dk.__all__ if callable(getattr(dk, name))}
    methods = [(name, value) for name, value in inspect.getmembers(dk.Sequential, callable) if not name.startswith("_")]
    own = [name for name, value in methods if "Internal." not in (inspect.getdoc(value) or "")]
    names |= {f".{name}(": f"Sequential.{name}" for name in own}
    commands = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    names |= {f"dnnkit {name}": f"dnnkit {name}" for name in commands}
    missing = {name for shown, name in names.items() if shown not in text}
    assert missing <= REFUSE_NOTHING, missing - REFUSE_NOTHING
