"""Records of fits, one JSON object a line: a run that was killed goes on after its last whole line."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def key(record: Record) -> tuple[str, str, int, int]:
    """What tells one fit from another."""
    return record["set"], record["method"], record["repeat"], record["fold"]


def read(path: Path) -> dict[tuple[str, str, int, int], Record]:
    """Give the fits that succeeded, the newest of each; half a line at the end is left out."""
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
    """Add a line; it begins on a line of its own even where a killed run left half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(record).encode() + b"\n")


def forget(path: Path, methods: Iterable[str]) -> int:
    """Leave out what some methods gave, and say how many lines that were; the rest is written anew."""
    records, away = read(path), set(methods)
    kept = [record for record in records.values() if record["method"] not in away]
    part = path.with_suffix(".part")
    part.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
    part.replace(path)
    return len(records) - len(kept)
