"""The figures that dnnkit's plots are drawn on."""

from io import BytesIO
from pathlib import Path

from dnnkit.errors import ConfigurationError
from dnnkit.extras import require

require("plot", "a plot")

try:
    from matplotlib.figure import Figure as MatplotlibFigure
except ValueError as error:  # of a variable that it reads as it is imported
    raise ConfigurationError(f"matplotlib cannot be imported: {error}; unset the variable MPLBACKEND") from error


class Figure(MatplotlibFigure):
    """A figure that a notebook shows as a picture by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=100)
        return picture.getvalue()


def write(figure: MatplotlibFigure, path: str | Path) -> None:
    """Write a figure; the file's ending chooses the format."""
    try:
        figure.savefig(str(path), dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
