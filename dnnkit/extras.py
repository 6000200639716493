"""Packages that only some need, each in an extra: whether one is here, and one error where it is not."""

from importlib.util import find_spec

from dnnkit.errors import ConfigurationError

EXTRAS = {
    "sklearn": ("sklearn", "scikit-learn"),
    "plot": ("matplotlib", "Matplotlib"),
    "formula": ("sympy", "SymPy"),
}
"""Extra -> the module that it brings, and what that is called."""


def is_installed(extra: str) -> bool:
    """Whether what an extra brings is here; nothing is imported."""
    return find_spec(EXTRAS[extra][0]) is not None


def command(extra: str) -> str:
    """What installs it."""
    return f"pip install 'dnnkit[{extra}]'"


def require(extra: str, what: str) -> None:
    """Raise `ConfigurationError` where an extra is missing, which `what` needs, such as "a plot"."""
    if not is_installed(extra):
        raise ConfigurationError(f"{what} needs {EXTRAS[extra][1]}, which is not installed: {command(extra)}")
