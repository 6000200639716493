"""Kinds of stages that exist for tests only: what the engine offers to kinds, in its smallest form."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import dnnkit.kernels.stages
from dnnkit.kernels import registry


@contextmanager
def known() -> Iterator[None]:
    """Within the block, the kinds here are found like those that ship."""
    caches = registry.names, registry._has_cpu_file, dnnkit.kernels.stages.kind
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dnnkit.kernels.stages, "__path__", [*dnnkit.kernels.stages.__path__, *__path__])
        for cache in caches:
            cache.cache_clear()
        try:
            yield
        finally:
            patch.undo()
            for cache in caches:
                cache.cache_clear()
