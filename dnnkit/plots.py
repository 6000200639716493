"""Plots as matplotlib figures, which are returned rather than shown; no global state is used."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from dnnkit.errors import DataError, ShapeError
from dnnkit.measures.confusion import confusion_matrix
from dnnkit.network.checks import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG = "#1f6fb4", "#c8321e"
SEEN, HELD_OUT = {"color": RIGHT, "linestyle": "-"}, {"color": "#e08214", "linestyle": "--"}
STYLES = {"training": SEEN, "validation": HELD_OUT, "test": HELD_OUT}
IMAGE, TITLE, HEADING, MARGIN = 1.2, 0.42, 0.32, 0.08
"""Inches in a grid of predictions: image, two-line title, heading of the figure, margin."""


class Measured(Protocol):
    """Measurements per epoch, such as a `History`."""

    @property
    def epoch(self) -> Sequence[int]:
        """Numbers of the epochs, counted from 0."""

    @property
    def history(self) -> Mapping[str, Sequence[float]]:
        """{name: one value per epoch}, with names `loss`, `val_loss`, ..."""


def plot_history(history: Measured, path: str | Path | None = None) -> "Figure":
    """Plot loss and metrics by epoch, one panel each; training solid, validation dashed.

    Arguments:
        history: the `History` that `fit` returned.
        path: image file to write; None writes none.

    Returns:
        A matplotlib `Figure`.
    """
    return plot_epochs(history.epoch, history.history, path)


def plot_epochs(
    epochs: Sequence[int], series: Mapping[str, Sequence[float]], path: str | Path | None = None
) -> "Figure":
    """Plot values by epoch, as `plot_history`.

    Arguments:
        epochs: epoch numbers, counted from 0.
        series: {"loss": [...], "val_loss": [...]}, one value per epoch.
        path: image file to write; None writes none.

    Raises:
        DataError: there are no epochs.
    """
    if not epochs:
        raise DataError("nothing to plot: no epoch has been trained yet")
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
    """Plot one panel per quantity, with one curve per part; training solid, validation and test dashed.

    Arguments:
        panels: {quantity: {part: values}}, `{"loss": {"training": [...], "validation": [...]}}`.
        epochs: horizontal positions of the values.
        label: label of the horizontal axis.
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
    """Plot a grid of images, with class names if labels are given.

    Arguments:
        images: (N, H, W).
        labels: integer classes (N,), or None.
        class_names: one name per class; default the numbers.
        path: image file to write; None writes none.
        columns: images per row of the grid.

    Raises:
        DataError, ShapeError: there are no images, or another number of labels.
    """
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
    """Plot a grid of images with predicted class and its probability; blue if right, red with the true class if wrong.

    Arguments:
        images: (N, H, W).
        labels: integer classes (N,).
        probabilities: predictions (N, C).
        class_names: one name per class; default the numbers.
        path: image file to write; None writes none.
        columns: images per row; default 8, or 3 with `bars`.
        bars: next to each image, plot the probabilities of all classes, the true class blue and a wrong prediction red;
            the title then shows the true class in brackets.

    Raises:
        DataError, ShapeError: there are no images, or another number of labels or predictions.
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


MOST_NUMBERED = 20
"""Maximum number of classes in a confusion matrix whose cells show numbers."""


def plot_confusion(
    y_true: Any,
    y_pred: Any,
    class_names: Sequence[str] | None = None,
    path: str | Path | None = None,
    *,
    sample_weight: Any = None,
    threshold: float = 0.5,
) -> "Figure":
    """Plot a confusion matrix: rows are true classes, columns are predicted ones.

    Each cell shows the number of samples; its colour shows their share of the true class, blue if right, red if wrong.

    Arguments:
        y_true: integer classes (N,), one-hot rows (N, C), or 0 and 1 as (N, 1).
        y_pred: as returned by `net.predict`, or integer classes (N,); see `dnnkit.metrics.confusion_matrix`.
        class_names: one name per class; default the numbers.
        path: image file to write; None writes none.
        sample_weight: (N,), weight of each row.
        threshold: a single output above it predicts class 1; default 0.5.

    Raises:
        DataError, ShapeError: as for `confusion_matrix`; or the number of names differs from that of classes.
    """
    from dnnkit.figures import Figure

    names = None if class_names is None else [str(name) for name in class_names]
    counts = confusion_matrix(
        y_true, y_pred, sample_weight=sample_weight, threshold=threshold, num_classes=len(names) if names else None
    )
    classes = len(counts)
    if names is not None and len(names) != classes:
        raise ShapeError(f"there are {classes} classes but {len(names)} class_names: expected one per class")
    of_class = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, of_class, out=np.zeros(counts.shape), where=of_class > 0)
    size = 2.2 + 0.5 * min(classes, MOST_NUMBERED + 4)
    figure = Figure(figsize=(size + 0.6, size), layout="constrained")
    axes = figure.subplots()
    axes.imshow(_shades(shares), interpolation="nearest")
    places, labels = range(classes), names or [str(number) for number in range(classes)]
    step = -(-classes // 30)
    rotation = 45 if names and 0.09 * max(map(len, names)) > 0.7 * size / classes else 0
    axes.set_xticks(places[::step], labels[::step], rotation=rotation, ha="right" if rotation else "center")
    axes.set_yticks(places[::step], labels[::step])
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.tick_params(length=0)
    right = float(np.trace(counts) / counts.sum()) if counts.sum() else 0.0
    axes.set_title(f"{right:.1%} of {_count(counts.sum())} right", fontsize=11)
    if classes <= MOST_NUMBERED:
        digits = max(len(_count(count)) for count in counts.flat)
        fontsize = min(10.0, 26.0 / digits)
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > 0.55 else "#222222" if count else "#a0a0a0"
            axes.text(column, row, _count(count), ha="center", va="center", fontsize=fontsize, color=color)
    if path is not None:
        save_figure(figure, path)
    return figure


def _shades(shares: Any) -> Any:
    """Map shares to colours: white to blue on the diagonal, to red elsewhere; a few percent are still visible."""
    from matplotlib.colors import to_rgb

    strength = np.sqrt(shares)[..., None]
    full = np.where(np.eye(len(shares), dtype=bool)[..., None], to_rgb(RIGHT), to_rgb(WRONG))
    return 1 - strength * (1 - full)


def _count(number: Any) -> str:
    """Format a number of rows, or a sum of weights."""
    return f"{number:,}" if isinstance(number, np.integer) else f"{number:.3g}"


def _lay_out(figure: "Figure") -> None:
    """Lay out the grid explicitly: matplotlib's layout engine takes half a second."""
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
        raise DataError("nothing to plot: images is empty")
    for other in others:
        if other is not None and len(other) != len(images):
            raise ShapeError(f"there are {len(images)} images but {len(other)} labels or rows of probabilities")
    return images


def _grid(figure: "Figure", rows: int, columns: int) -> list[Any]:
    """Return empty axes, row by row."""
    grid = list(np.atleast_1d(figure.subplots(rows, columns)).reshape(-1))
    for axes in grid:
        axes.axis("off")
    return grid


def _show_image(axes: Any, image: Any) -> None:
    axes.imshow(image, cmap="gray_r", interpolation="nearest")
    axes.axis("on")
    axes.set(xticks=[], yticks=[])


def _show_bars(axes: Any, probabilities: Any, label: int) -> None:
    """Plot the probability of each class, the true class blue and a wrong prediction red."""
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
    """Write a figure to an image file.

    Arguments:
        figure: a matplotlib `Figure`.
        path: the file; its extension selects the format.
    """
    from dnnkit.figures import write

    write(figure, path)
