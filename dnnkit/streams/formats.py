"""The formats of files that streams read, by the end of a file's name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dnnkit.deferred import dataclass
from dnnkit.registry import Lazy, Registry

if TYPE_CHECKING:
    from dnnkit.streams.rows import Rows


@dataclass(frozen=True)
class Columns:
    """Which columns of a table are read, by name; all where `only` is empty, and none of `without`."""

    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


FORMATS: "Registry[Callable[[Path, Columns], Rows]]" = Registry(
    "stream format",
    "a class that makes dnnkit.streams.rows.Rows of a path and the columns wanted",
    callable,
    plural="stream_formats",
)
"""Of which a class is called with a `Path` and `Columns`."""

FORMATS.add("npy", Lazy("dnnkit.streams.npy:NpyRows"))
FORMATS.add("parquet", Lazy("dnnkit.streams.arrow:ParquetRows"), "pq")
FORMATS.add("arrow", Lazy("dnnkit.streams.arrow:ArrowRows"), "feather", "ipc")


def is_data_file(path: Path) -> bool:
    """Whether streams read a file of that name."""
    return FORMATS.name_of(path.suffix.removeprefix(".")) is not None
