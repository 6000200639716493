"""Write docs/reference.md and docs/reference/, or the same below the given folder; see the package."""

import sys
from pathlib import Path

from tests.reference.page import FOLDER, pages

folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
(folder / "reference").mkdir(exist_ok=True)
written = {folder / name: text for name, text in pages().items()}
for old in {*(folder / "reference").glob("*.md")} - set(written):
    old.unlink()
for path, text in written.items():
    path.write_text(text, encoding="utf-8")
