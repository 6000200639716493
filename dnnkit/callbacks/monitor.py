"""Monitored quantities of callbacks, and their best values."""

from math import inf
from typing import Literal, TypeAlias

from dnnkit.callbacks.base import Callback, Logs
from dnnkit.errors import ConfigurationError
from dnnkit.metrics import is_better_higher, name_of
from dnnkit.network.goals import named_metrics
from dnnkit.network.protocol import Network
from dnnkit.settings import FINITE

Mode: TypeAlias = Literal["auto", "min", "max"]


class Best:
    """The best value so far of a monitored quantity."""

    def __init__(self, monitor: str, mode: Mode, min_delta: float = 0.0, value: float | None = None) -> None:
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ConfigurationError(f"mode is {mode!r}: expected 'auto', 'min' or 'max'")
        if not isinstance(monitor, str):
            raise ConfigurationError(f"monitor is {monitor!r}: expected the name of a quantity, such as 'val_loss'")
        self.monitor, self.mode = monitor, mode
        self._min_delta = abs(FINITE.of("min_delta", min_delta))
        self.value = value

    def forget(self) -> None:
        """Reset the best value."""
        self.value = None

    def seen(self, callback: Callback, logs: Logs | None) -> float | None:
        """Return the value in the logs; None if it is measured, but not in this epoch."""
        logs = logs or {}
        if self.monitor in logs:
            self._is_more_better = self.mode == "max" or (self.mode == "auto" and self._goes_up(callback.model))
            return float(logs[self.monitor])
        if self.monitor in callback.params.get("metrics", ()):
            return None
        raise ConfigurationError(
            f"monitor={self.monitor!r} is not measured; these are: {', '.join(logs)}. "
            "For val_... pass validation_data or validation_split to fit"
        )

    def _goes_up(self, net: Network) -> bool:
        """Whether higher is better; a metric of one of several outputs is identified by its own name."""
        measured = named_metrics(net.graph.output_names, net.goals).get(self.monitor.removeprefix("val_"))
        return is_better_higher(self.monitor if measured is None else name_of(measured), net.metrics)

    def is_better(self, value: float, than: float | None) -> bool:
        """Whether the value is better by more than `min_delta`; always true if `than` is None, never for NaN."""
        sign = 1.0 if self._is_more_better else -1.0
        return sign * value > (-inf if than is None else sign * than + self._min_delta)

    def improves(self, value: float) -> bool:
        """Whether the value is the best so far; if so, it becomes the new best."""
        is_better = self.is_better(value, self.value)
        if is_better:
            self.value = value
        return is_better
