"""Matplotlib figures for dnnkit's plots."""

from io import BytesIO
from pathlib import Path

from dnnkit.errors import ConfigurationError
from dnnkit.extras import require

require("plot", "a plot")

try:
    from matplotlib.figure import Figure as MatplotlibFigure
except ValueError as error:  # caused by an environment variable that matplotlib reads on import
    raise ConfigurationError(f"matplotlib cannot be imported: {error}; unset the variable MPLBACKEND") from error


class Figure(MatplotlibFigure):
    """A figure that notebooks display as an image, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=100)
        return picture.getvalue()


def write(figure: MatplotlibFigure, path: str | Path) -> None:
    """Write a figure in the format of the file's extension."""
    try:
        figure.savefig(str(path), dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
