"""The beginning of a fit of several ranks; a fit of a single process loads nothing more of them."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def together(fit: Method) -> Method:
    """Decorate what takes `distributed`: it is given the `Ranks` that this asks for, within their block, or None."""

    @wraps(fit)
    def run(self: Any, *arguments: Any, distributed: Any = None, **named: Any) -> Any:
        if distributed is None:
            return fit(self, *arguments, **named)
        from dnnkit.distributed.ranks import Ranks

        with Ranks.of(distributed) as ranks:
            return fit(self, *arguments, distributed=ranks, **named)

    return run  # type: ignore[return-value]
