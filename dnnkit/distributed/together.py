"""Entry of a distributed fit; a fit of a single process imports nothing else of this package."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def together(fit: Method) -> Method:
    """Decorate a method with a `distributed` argument: within the context of `Ranks`, it receives these, or None."""

    @wraps(fit)
    def run(self: Any, *arguments: Any, distributed: Any = None, **named: Any) -> Any:
        if distributed is None:
            return fit(self, *arguments, **named)
        from dnnkit.distributed.ranks import Ranks

        with Ranks.of(distributed) as ranks:
            return fit(self, *arguments, distributed=ranks, **named)

    return run  # type: ignore[return-value]
