"""The data sets on which dnnkit's defaults were chosen; all others are reported on, and nothing is chosen on them.

`tuned_on.txt` names at most fifteen, and was written before any result.
"""

from pathlib import Path

from benchmarks.tables.catalogue import CATALOGUE
from dnnkit.errors import DataError

FILE = Path(__file__).with_name("tuned_on.txt")


def read(text: str) -> tuple[str, ...]:
    """Return the catalogue's names for lines `source: item, target`; `#` starts a comment.

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
            raise DataError(f"{FILE.name} names {line!r}, which is not in the catalogue: write `source: item, target`")
        names.append(known[source.strip(), item.strip()])
    return tuple(names)


TUNING = read(FILE.read_text(encoding="utf-8"))
REPORTED = tuple(name for name in CATALOGUE if name not in TUNING)
