"""Writes docs/errors.md; see the package."""

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.errors.table import FILE, table

with TemporaryDirectory() as folder:
    FILE.write_text(table(Path(folder)))
