"""Plots: curves, grids of predictions, and files that cannot be written."""

import numpy as np
import pytest
from matplotlib.colors import same_color

from dnnkit.errors import ConfigurationError
from dnnkit.plots import RIGHT, WRONG, plot_curves, plot_predictions, save_figure

IMAGES = np.random.default_rng(1).integers(0, 16, (5, 8, 8), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1])
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.6, 0.2, 0.2], [0.1, 0.2, 0.7]])
"""Right, right, wrong (0 for 2), right, wrong (2 for 1)."""


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("columns", [1, 2, 8])
def test_every_image_has_a_panel(count, columns):
    figure = plot_predictions(IMAGES[:count], LABELS[:count], PROBABILITIES[:count], columns=columns)
    shown = panels(figure)
    assert len(shown) == count
    for axes, image in zip(shown, IMAGES, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
    assert not any(axes.axison for axes in figure.axes if not axes.images)


def test_titles_give_prediction_and_probability_and_the_truth_where_it_is_another():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES)
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["0  90%", "1  80%", "0  70%\ntrue: 2", "0  60%", "2  70%\ntrue: 1"]


def test_wrong_predictions_are_red():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES)
    colors = [axes.title.get_color() for axes in panels(figure)]
    assert colors == [RIGHT, RIGHT, WRONG, RIGHT, WRONG]
    for axes, color in zip(panels(figure), colors, strict=True):
        assert all(same_color(spine.get_edgecolor(), color) for spine in axes.spines.values())


def test_the_heading_counts_what_is_right():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES)
    assert "3 of these 5 right" in figure.get_suptitle()


def test_classes_have_the_names_that_are_given(tmp_path):
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES, ["zero", "one", "two"], tmp_path / "predictions.png")
    assert panels(figure)[2].get_title() == "zero  70%\ntrue: two"
    assert (tmp_path / "predictions.png").read_bytes().startswith(b"\x89PNG")


def test_curves_have_a_panel_a_quantity():
    figure = plot_curves(
        {"loss": {"training": [3, 2, 1], "validation": [4, 3, 5]}, "accuracy": {"training": [1, 2, 3]}}, [1, 2, 3]
    )
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[3, 2, 1], [4, 3, 5]]
    assert loss.lines[0].get_linestyle() != loss.lines[1].get_linestyle()
    assert (loss.get_xlabel(), loss.get_ylabel(), accuracy.get_ylabel()) == ("epoch", "loss", "accuracy")


@pytest.mark.parametrize("name", ["curves.nonsense", "missing/curves.png"])
def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path, name):
    figure = plot_curves({"loss": {"training": [2, 1]}}, [1, 2])
    with pytest.raises(ConfigurationError, match=f"cannot write the plot .*{name}"):
        save_figure(figure, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
