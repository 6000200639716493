"""Which data sets dnnkit's default was tuned on, and that they were chosen before any result.

Ten of classification and five of regression: those whose names have the smallest SHA-256. Nobody chose them.
`tuning.txt` has the list; all other sets are reported on, and nothing of dnnkit may be chosen on them.
"""

from hashlib import sha256
from pathlib import Path

from benchmarks.tables.catalogue import CATALOGUE

COUNTS = {"classification": 10, "regression": 5}
FILE = Path(__file__).with_name("tuning.txt")


def chosen() -> list[str]:
    """Give the names that the rule chooses."""
    return sorted(
        name
        for task, count in COUNTS.items()
        for name in sorted(
            (entry.name for entry in CATALOGUE.values() if entry.task == task),
            key=lambda name: sha256(name.encode()).hexdigest(),
        )[:count]
    )


TUNING = tuple(FILE.read_text(encoding="utf-8").split())
"""The names in `tuning.txt`; a test compares them with the rule's."""

REPORTED = tuple(name for name in CATALOGUE if name not in TUNING)
"""All others."""
