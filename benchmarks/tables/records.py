"""Records of fits, one JSON object per line; a killed run continues after its last complete line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def key(record: Record) -> tuple[str, str, int, int]:
    """Return what identifies a fit."""
    return record["set"], record["method"], record["repeat"], record["fold"]


def read(path: Path) -> dict[tuple[str, str, int, int], Record]:
    """Return the newest record of each fit that succeeded; an incomplete last line is ignored."""
    found = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if "failed" in record:
                found.pop(key(record), None)
            else:
                found[key(record)] = record
    return found


def append(path: Path, record: Record) -> None:
    """Append a record, on a new line even if a killed run left an incomplete one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")


def forget(path: Path, methods: Iterable[str]) -> int:
    """Delete the records of some methods by rewriting the file; return the number of deleted lines."""
    records, away = read(path), set(methods)
    kept = [record for record in records.values() if record["method"] not in away]
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    part.replace(path)
    return len(records) - len(kept)
