"""Plots: figures that are made and returned, never shown or kept by a global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.network.checks import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG = "#1f6fb4", "#c8321e"
SEEN, HELD_OUT = {"color": RIGHT, "linestyle": "-"}, {"color": "#e08214", "linestyle": "--"}
STYLES = {"training": SEEN, "validation": HELD_OUT, "test": HELD_OUT}
IMAGE, TITLE, HEADING, MARGIN = 1.2, 0.42, 0.32, 0.08
"""Inches of a grid of predictions: an image, its title of two lines, what stands above all, the edge."""


class Measured(Protocol):
    """What was measured in each epoch; `History` has it."""

    @property
    def epoch(self) -> Sequence[int]:
        """The epochs, counted from 0."""

    @property
    def history(self) -> Mapping[str, Sequence[float]]:
        """A value per epoch of `loss`, `val_loss`, ..."""


def plot_history(history: Measured, path: str | Path | None = None) -> "Figure":
    """Loss and every metric by epoch, side by side; training solid, validation dashed."""
    return plot_epochs(history.epoch, history.history, path)


def plot_epochs(
    epochs: Sequence[int], series: Mapping[str, Sequence[float]], path: str | Path | None = None
) -> "Figure":
    """As `plot_history`: epochs counted from 0, and `{"loss": [...], "val_loss": [...]}` with a value per epoch."""
    if not epochs:
        raise DataError("there is nothing to plot: no epoch has been trained yet")
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for name, values in series.items():
        part = "validation" if name.startswith("val_") else "training"
        panels.setdefault(name.removeprefix("val_"), {})[part] = values
    figure = plot_curves(panels, [epoch + 1 for epoch in epochs])
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]], epochs: Sequence[float], label: str = "epoch"
) -> "Figure":
    """One panel a quantity, one curve a part: `{"loss": {"training": [...], "validation": [...]}}`.

    What was trained on is a solid line; validation and test are dashed.
    """
    from dnnkit.figures import Figure

    figure = Figure(figsize=(4.8 * len(panels), 3.6), layout="constrained")
    for axes, (name, curves) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        for part, values in curves.items():
            marker = "o" if len(values) < 3 else None
            axes.plot(epochs, values, label=part, marker=marker, **STYLES[part])
        axes.set(xlabel=label, ylabel=name, title=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return figure


def plot_images(
    images: Any,
    labels: Any = None,
    class_names: Sequence[str] | None = None,
    path: str | Path | None = None,
    *,
    columns: int = 5,
) -> "Figure":
    """A grid of images (N, H, W), each with the name of its class below it if `labels` are given."""
    from dnnkit.figures import Figure

    images = _check_images(images, labels)
    rows = -(-len(images) // check_count("columns", columns))
    figure = Figure(figsize=(1.7 * columns, 1.9 * rows), layout="constrained")
    for index, (image, axes) in enumerate(zip(images, _grid(figure, rows, columns), strict=False)):
        _show_image(axes, image)
        if labels is not None:
            label = int(labels[index])
            axes.set_xlabel(class_names[label] if class_names else str(label))
    if path is not None:
        save_figure(figure, path)
    return figure


def plot_predictions(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str] | None = None,
    path: str | Path | None = None,
    *,
    columns: int | None = None,
    bars: bool = False,
) -> "Figure":
    """A grid of images (N, H, W) with predicted class, its probability, and where it is wrong the true class.

    Blue is right, red is wrong. With `bars` each image has the true class in brackets, and beside it the probabilities
    (N, C) of all classes: the true class in blue, a wrong prediction in red.
    """
    from dnnkit.figures import Figure

    images, probabilities = _check_images(images, labels, probabilities), np.asarray(probabilities)
    labels = np.asarray(labels)
    names = class_names or [str(number) for number in range(probabilities.shape[1])]
    columns = (3 if bars else 8) if columns is None else check_count("columns", columns)
    rows, panels = -(-len(images) // columns), 2 if bars else 1
    if bars:
        figure = Figure(figsize=(3.6 * columns, 1.6 * rows), layout="constrained")
    else:
        figure = Figure(figsize=(IMAGE * 1.125 * columns, HEADING + (TITLE + IMAGE) * rows + MARGIN))
        _lay_out(figure)
    grid = _grid(figure, rows, columns * panels)
    for index, (image, label, row) in enumerate(zip(images, labels, probabilities, strict=True)):
        predicted = int(row.argmax())
        right = predicted == label
        title = f"{names[predicted]}  {row[predicted]:.0%}"
        if bars:
            title += f"\n({names[label]})"
        elif not right:
            title += f"\ntrue: {names[label]}"
        axes = grid[panels * index]
        _show_image(axes, image)
        axes.set_title(title, fontsize=9, color=RIGHT if right else WRONG, y=None if bars else 1)
        for spine in axes.spines.values():
            spine.set(color=RIGHT if right else WRONG, linewidth=1 if right else 2.5)
        if bars:
            _show_bars(grid[panels * index + 1], row, int(label))
    wrong = int((probabilities.argmax(axis=1) != labels).sum())
    heading = f"Predictions on test images: {len(images) - wrong} of these {len(images)} right"
    figure.suptitle(heading, fontsize=11, **({} if bars else {"y": 1 - MARGIN / figure.get_figheight()}))
    if path is not None:
        save_figure(figure, path)
    return figure


def _lay_out(figure: "Figure") -> None:
    """Images, each below two lines: matplotlib takes half a second to find out as much."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(
        left=MARGIN / width,
        right=1 - MARGIN / width,
        top=1 - (HEADING + TITLE) / height,
        bottom=MARGIN / height,
        wspace=0.125,
        hspace=TITLE / IMAGE,
    )


def _check_images(images: Any, *others: Any) -> Any:
    images = np.asarray(images)
    if len(images) == 0:
        raise DataError("there are no images to plot")
    for other in others:
        if other is not None and len(other) != len(images):
            raise ShapeError(f"there are {len(images)} images but {len(other)} labels or rows of probabilities")
    return images


def _grid(figure: "Figure", rows: int, columns: int) -> list[Any]:
    """Empty axes, row by row."""
    grid = list(np.atleast_1d(figure.subplots(rows, columns)).reshape(-1))
    for axes in grid:
        axes.axis("off")
    return grid


def _show_image(axes: Any, image: Any) -> None:
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.axis("on")
    axes.set(xticks=[], yticks=[])


def _show_bars(axes: Any, probabilities: Any, label: int) -> None:
    """The probability of every class; the true class in blue, a wrong prediction in red."""
    colors = ["#b0b0b0"] * len(probabilities)
    colors[int(probabilities.argmax())] = WRONG
    colors[label] = RIGHT
    axes.axis("on")
    axes.bar(range(len(probabilities)), probabilities, color=colors)
    axes.set(ylim=(0, 1), yticks=[], xticks=range(len(probabilities)))
    axes.tick_params(labelsize=7, length=0)
    for side in ("top", "left", "right"):
        axes.spines[side].set_visible(False)


def save_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure; the file's ending chooses the format."""
    try:
        figure.savefig(str(path), dpi=150)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write the plot {path}: {error}") from error
