"""The data sets on which dnnkit's default was chosen; all others are reported on, and nothing is chosen on them.

`tuned_on.txt` names them, fifteen at most, and was written before any result.
"""

from pathlib import Path

from benchmarks.tables.catalogue import CATALOGUE
from dnnkit.errors import DataError

FILE = Path(__file__).with_name("tuned_on.txt")


def read(text: str) -> tuple[str, ...]:
    """Give the catalogue's names of what lines `source: item, target` name; `#` starts a comment.

    Raises:
        DataError: a line names no data set of the catalogue.
    """
    known = {(entry.source, entry.item.split("/")[-1]): name for name, entry in CATALOGUE.items()}
    names = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        source, _, item = line.partition(",")[0].partition(":")
        if (source.strip(), item.strip()) not in known:
            raise DataError(f"{FILE.name} names {line!r}, which is not in the catalogue: write source: item, target")
        names.append(known[source.strip(), item.strip()])
    return tuple(names)


TUNING = read(FILE.read_text(encoding="utf-8"))
REPORTED = tuple(name for name in CATALOGUE if name not in TUNING)
