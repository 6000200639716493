"""The figures that dnnkit's plots are drawn on."""

from io import BytesIO

from matplotlib.figure import Figure as MatplotlibFigure


class Figure(MatplotlibFigure):
    """A figure that a notebook shows as a picture by itself, without pyplot and its global state."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=100)
        return picture.getvalue()
