"""Write docs/errors.md, or the file named as an argument."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.errors.table import FILE, table

with TemporaryDirectory() as folder:
    (Path(sys.argv[1]) if sys.argv[1:] else FILE).write_text(table(Path(folder)))
