"""Optional dependencies, each installed by an extra: whether they are installed, and the error if not."""

from importlib.util import find_spec

from dnnkit.errors import ConfigurationError

EXTRAS = {
    "sklearn": ("sklearn", "scikit-learn"),
    "plot": ("matplotlib", "Matplotlib"),
    "formula": ("sympy", "SymPy"),
}
"""Extra: (module that it installs, display name)."""


def is_installed(extra: str) -> bool:
    """Whether the extra's module is installed, without importing it."""
    return find_spec(EXTRAS[extra][0]) is not None


def command(extra: str) -> str:
    """Return the command that installs the extra."""
    return f"pip install 'dnnkit[{extra}]'"


def require(extra: str, what: str) -> None:
    """Raise `ConfigurationError` if an extra is missing that `what` needs, such as "a plot"."""
    if not is_installed(extra):
        raise ConfigurationError(f"{what} needs {EXTRAS[extra][1]}, which is not installed: {command(extra)}")
