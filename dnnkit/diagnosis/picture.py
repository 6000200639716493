"""The plot of a diagnosis: four panels by epoch, with a curve per layer."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dnnkit.plots import save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "dead": ("dead units", "share"),
    "at_limits": ("outputs at their limits", "share"),
    "gradient": ("gradient of the parameters", "root mean square"),
    "update": ("update ÷ weights", "root mean squares"),
}
USUAL = 1e-3
"""Ratio of update to weights that usually trains well, roughly."""


class Layer(Protocol):
    """A layer with its records."""

    @property
    def name(self) -> str:
        """Name of the layer."""

    @property
    def records(self) -> Sequence[Any]:
        """Records per epoch, with the attributes in `PANELS`."""


class Diagnosed(Protocol):
    """The interface of `Diagnosis` that the plot needs."""

    @property
    def title(self) -> str:
        """Number of samples and epochs."""

    @property
    def epochs(self) -> Sequence[int]:
        """Number of completed epochs at each record."""

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers in order."""


def plot_diagnosis(diagnosis: Diagnosed, path: str | Path | None) -> "Figure":
    """Plot the diagnosis, from dark (first layer) to light; fractions on linear axes, sizes on logarithmic ones."""
    from matplotlib import colormaps

    from dnnkit.figures import Figure

    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    colors = colormaps["viridis"].resampled(len(diagnosis.layers) + 1)
    for axes, (field, (title, label)) in zip(figure.subplots(2, 2).reshape(-1), PANELS.items(), strict=True):
        shown = False
        for place, layer in enumerate(diagnosis.layers):
            values = [getattr(record, field) for record in layer.records]
            if any(map(isfinite, values)):
                shown = True
                axes.plot(diagnosis.epochs, values, color=colors(place), marker="o", markersize=3, label=layer.name)
        axes.set(title=title, xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        if label == "share":
            axes.set(ylim=(-0.03, 1.03))
        elif shown:
            axes.set(yscale="log")
        if field == "update" and shown:
            axes.axhline(USUAL, color="#888888", linestyle=":", linewidth=1, label="usual")
        if shown:
            axes.legend(frameon=False, fontsize=8, ncols=1 + len(diagnosis.layers) // 8)
        else:
            axes.text(0.5, 0.5, "no layer has such an activation", ha="center", va="center", transform=axes.transAxes)
    figure.suptitle(diagnosis.title, fontsize=11)
    if path is not None:
        save_figure(figure, path)
    return figure
