"""Plots: figures that are made and returned, never shown or kept by a global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnnkit.history import History

RIGHT, WRONG = "#1f6fb4", "#c8321e"
STYLES = {"training": {"color": RIGHT, "linestyle": "-"}, "validation": {"color": "#e08214", "linestyle": "--"}}


def plot_history(history: "History", path: str | Path | None = None) -> "Figure":
    """Loss and every metric by epoch, side by side; training solid, validation dashed."""
    if not history.epoch:
        raise DataError("there is nothing to plot: no epoch has been trained yet")
    panels: dict[str, dict[str, list[float]]] = {}
    for name, values in history.history.items():
        part = "validation" if name.startswith("val_") else "training"
        panels.setdefault(name.removeprefix("val_"), {})[part] = values
    figure = plot_curves(panels, [epoch + 1 for epoch in history.epoch])
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_curves(panels: Mapping[str, Mapping[str, Sequence[float]]], epochs: Sequence[int]) -> "Figure":
    """One panel a quantity, one curve a part: `{"loss": {"training": [...], "validation": [...]}}`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(panels), 3.6), layout="constrained")
    for axes, (name, curves) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        for part, values in curves.items():
            marker = "o" if len(values) < 3 else None
            axes.plot(epochs, values, label=part, marker=marker, **STYLES[part])
        axes.set(xlabel="epoch", ylabel=name, title=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return figure


def plot_predictions(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str] | None = None,
    path: str | Path | None = None,
    *,
    columns: int = 8,
) -> "Figure":
    """A grid of images (N, H, W) with predicted class and probability; a wrong one in red, with the true class."""
    from matplotlib.figure import Figure

    images, labels, probabilities = np.asarray(images), np.asarray(labels), np.asarray(probabilities)
    names = class_names or [str(number) for number in range(probabilities.shape[1])]
    if len(images) == 0:
        raise DataError("there are no images to plot")
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(1.35 * columns, 1.6 * rows), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns)).reshape(-1)
    for axes in grid:
        axes.axis("off")
    for axes, image, label, row in zip(grid, images, labels, probabilities, strict=False):
        predicted = int(row.argmax())
        right = predicted == label
        title = f"{names[predicted]}  {row[predicted]:.0%}" + ("" if right else f"\ntrue: {names[label]}")
        axes.imshow(image, cmap="gray_r", interpolation="nearest")
        axes.set_title(title, fontsize=9, color=RIGHT if right else WRONG)
        axes.axis("on")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set(color=RIGHT if right else WRONG, linewidth=1 if right else 2.5)
    wrong = int((probabilities.argmax(axis=1) != labels).sum())
    figure.suptitle(f"Predictions on test images: {len(images) - wrong} of these {len(images)} right", fontsize=11)
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure; the file's ending chooses the format."""
    try:
        figure.savefig(str(path), dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
