"""Data larger than memory: files, folders of shards and iterators of batches, for `fit`, `evaluate` and `predict`."""

from dnnkit.streams.stream import Stream as Stream
from dnnkit.streams.stream import open as open

__all__ = ["Stream", "open"]
