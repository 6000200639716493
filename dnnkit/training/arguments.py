"""The arguments of a fit, each checked on its own, before the network or data are considered."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from dnnkit.backends.executable import Executable
from dnnkit.errors import ConfigurationError
from dnnkit.network import checks
from dnnkit.network.streamed import is_streamed
from dnnkit.settings import FLAG, SHARE
from dnnkit.training.epoch_order import Shuffle, check_shuffle
from dnnkit.training.run import Orders, check_frequency

Load: TypeAlias = Callable[[Executable, Any, Any, Any], Any]
"""Loads checked samples, targets and row weights for an executable."""


def load_alone(executable: Executable, x: Any, y: Any, weights: Any) -> Any:
    """Load data for a single fit, without sharing."""
    return executable.load(x, y, weights)


class FitArguments:
    """The arguments of `fit` that say what to train on, and for how long.

    `among` are the rows of x to train on (None for all), `held_out` those to validate on (None for none). `whose` is
    how warnings refer to the network if it is one of several. `orders` replace the network's sample orders.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        class_weight: Mapping[Any, Any] | Sequence[Any] | None,
        validation_data: Any,
        validation_split: float,
        *,
        batch_size: int | None,
        epochs: int | None,
        steps: int | None = None,
        steps_per_epoch: int | None = None,
        shuffle: Shuffle = True,
        initial_epoch: int = 0,
        validation_freq: int | Sequence[int] = 1,
        diagnose: bool = False,
        among: NDArray[Any] | None = None,
        held_out: NDArray[Any] | None = None,
        whose: str = "",
        orders: Orders | None = None,
    ) -> None:
        self.x, self.y, self.sample_weight, self.class_weight = x, y, sample_weight, class_weight
        self.among, self.held_out, self.whose, self.orders = among, held_out, whose, orders
        self.batch_size = checks.check_optional_count("batch_size", batch_size)
        self.validates = check_frequency(validation_freq)
        self.initial_epoch = checks.check_count("initial_epoch", initial_epoch, 0)
        self.epochs = checks.check_optional_count("epochs", epochs)
        self.steps = checks.check_optional_count("steps", steps)
        self.steps_per_epoch = checks.check_optional_count("steps_per_epoch", steps_per_epoch)
        if epochs is not None and steps is not None:
            raise ConfigurationError(f"epochs={epochs} and steps={steps} both set the length: give one of them")
        self.diagnose = FLAG.of("diagnose", diagnose)
        self.validation_split = SHARE.of("validation_split", validation_split)
        is_pair = isinstance(validation_data, tuple | list) and len(validation_data) in (2, 3)
        if validation_data is not None and not is_pair and not is_streamed(validation_data):
            raise ConfigurationError("validation_data is invalid: expected (x, y) or (x, y, sample_weight)")
        self.validation_data = validation_data
        self.shuffle = check_shuffle(shuffle)
