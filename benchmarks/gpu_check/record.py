"""The JSON record, which is complete on disk at any time, even if the process that writes it crashes."""

import json
import os
from pathlib import Path
from typing import Any


class Record:
    """One file, replaced as a whole; several processes write to it, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """Return the results so far, by part."""
        found: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found

    def write(self, part: str, found: dict[str, Any]) -> None:
        """Store the results of a part; those of the others are kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self.read(), part: found}, indent=1, allow_nan=False)
        unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        unfinished.write_text(text + "\n")
        unfinished.replace(self.path)

    def clear(self) -> None:
        """Delete the results of another run."""
        self.path.unlink(missing_ok=True)
