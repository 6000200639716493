"""The JSON: what is known so far, on disk at any time, whatever becomes of the process that writes it."""

import json
import os
from pathlib import Path
from typing import Any


class Record:
    """One file, read and replaced as a whole: several processes write to it, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """What was found so far, by part."""
        found: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return found

    def write(self, part: str, found: dict[str, Any]) -> None:
        """What that part has found; the others' stays."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**self.read(), part: found}, indent=1, allow_nan=False)
        unfinished = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        unfinished.write_text(text + "\n")
        unfinished.replace(self.path)

    def clear(self) -> None:
        """Forget what another run has found."""
        self.path.unlink(missing_ok=True)
