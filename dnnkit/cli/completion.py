"""What a shell offers after Tab: names of what is registered. `dnnkit --install-completion` makes the shell ask."""

from collections.abc import Callable


def activations(incomplete: str) -> list[str]:
    """Names of activations."""
    from dnnkit.activations import names

    return [name for name in names() if name.startswith(incomplete)]


def optimizers(incomplete: str) -> list[str]:
    """Names of optimizers."""
    from dnnkit.optimizers import OPTIMIZERS

    return [name for name in OPTIMIZERS.names() if name.startswith(incomplete)]


def data_sets(incomplete: str) -> list[str]:
    """Names of data sets; where none fits, a shell offers files, which may be tables."""
    from dnnkit.datasets import DATASETS

    return [name for name in DATASETS.names() if name.startswith(incomplete)]


def backends(incomplete: str) -> list[str]:
    """Names of backends that work here."""
    from dnnkit.backends import available

    return [info.name for info in available() if info.available and info.name.startswith(incomplete)]


def one_of(*values: str) -> Callable[[str], list[str]]:
    """Those values."""
    return lambda incomplete: [value for value in values if value.startswith(incomplete)]
