"""Shell completion: names of registered parts. `dnnkit --install-completion` installs it."""

from collections.abc import Callable


def activations(incomplete: str) -> list[str]:
    """Names of activations that start with the text."""
    from dnnkit.activations import names

    return [name for name in names() if name.startswith(incomplete)]


def optimizers(incomplete: str) -> list[str]:
    """Names of optimizers that start with the text."""
    from dnnkit.optimizers import OPTIMIZERS

    return [name for name in OPTIMIZERS.names() if name.startswith(incomplete)]


def data_sets(incomplete: str) -> list[str]:
    """Names of data sets that start with the text; if there are none, the shell offers files, such as tables."""
    from dnnkit.datasets import DATASETS

    return [name for name in DATASETS.names() if name.startswith(incomplete)]


def backends(incomplete: str) -> list[str]:
    """Names of usable backends that start with the text."""
    from dnnkit.backends import available

    return [info.name for info in available() if info.available and info.name.startswith(incomplete)]


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Return a completion that offers these values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]
