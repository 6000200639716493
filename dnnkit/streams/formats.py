"""File formats of streams, by file suffix."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dnnkit.deferred import dataclass
from dnnkit.registry import Lazy, Registry

if TYPE_CHECKING:
    from dnnkit.streams.rows import Rows


@dataclass(frozen=True)
class Columns:
    """Columns of a table to read, by name: `only` these (all if empty), except those in `without`."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


FORMATS: "Registry[Callable[[Path, Columns], Rows]]" = Registry(
    "stream format",
    "a class that makes dnnkit.streams.rows.Rows of a path and the columns wanted",
    callable,
    plural="stream_formats",
)
"""Classes that are called with a `Path` and `Columns`."""

FORMATS.add("npy", Lazy("dnnkit.streams.npy:NpyRows"))
FORMATS.add("parquet", Lazy("dnnkit.streams.arrow:ParquetRows"), "pq")
FORMATS.add("arrow", Lazy("dnnkit.streams.arrow:ArrowRows"), "feather", "ipc")


def is_data_file(path: Path) -> bool:
    """Return whether streams can read a file with that name."""
    return FORMATS.name_of(path.suffix.removeprefix(".")) is not None
