"""Plots: curves, grids of predictions, and files that cannot be written."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.figures import Figure
from dnnkit.plots import RIGHT, WRONG, plot_curves, plot_history, plot_images, plot_predictions, save_figure

PNG = b"\x89PNG\r\n\x1a\n"

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


def test_titles_give_prediction_probability_and_a_different_truth():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES)
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["0  90%", "1  80%", "0  70%\ntrue: 2", "0  60%", "2  70%\ntrue: 1"]


def test_wrong_predictions_are_red():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES)
    colors = [axes.title.get_color() for axes in panels(figure)]
    assert colors == [RIGHT, RIGHT, WRONG, RIGHT, WRONG]
    for axes, color in zip(panels(figure), colors, strict=True):
        assert all(same_color(spine.get_edgecolor(), color) for spine in axes.spines.values())


def test_the_heading_counts_right_predictions():
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


def test_the_horizontal_axis_may_count_something_else():
    axes = plot_curves({"loss": {"training": [3, 2]}, "accuracy": {"training": [0, 1]}}, [10, 20], "update").axes
    assert [each.get_xlabel() for each in axes] == ["update", "update"]
    assert list(axes[0].lines[0].get_xdata()) == [10, 20]


def test_curves_of_validation_and_of_a_test_are_dashed():
    figure = plot_curves({"loss": {"training": [3, 2], "validation": [4, 3], "test": [5, 4]}}, [1, 2])
    styles = {line.get_label(): (line.get_linestyle(), line.get_color()) for line in figure.axes[0].lines}
    assert styles["training"][0] == "-"
    assert styles["validation"] == styles["test"] == ("--", styles["test"][1])
    assert styles["training"][1] != styles["test"][1]


@pytest.mark.parametrize("name", ["curves.nonsense", "missing/curves.png"])
def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path, name):
    figure = plot_curves({"loss": {"training": [2, 1]}}, [1, 2])
    with pytest.raises(ConfigurationError, match=f"cannot write the plot .*{name}"):
        save_figure(figure, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


# -- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_a_grid_of_images_shows_every_image_once(count, columns):
    figure = plot_images(IMAGES[:count], columns=columns)
    shown = panels(figure)
    assert len(shown) == count
    for axes, image in zip(shown, IMAGES, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), image)
        assert axes.axison
        assert axes.get_xlabel() == axes.get_title() == ""
        assert (list(axes.get_xticks()), list(axes.get_yticks())) == ([], [])
    assert len(figure.axes) == -(-count // columns) * columns
    assert not any(axes.axison for axes in figure.axes if not axes.images)


def test_five_images_are_a_row_and_a_sixth_is_below_them():
    assert [len(plot_images(np.zeros((count, 2, 2))).axes) for count in (5, 6)] == [5, 10]


def test_the_class_of_an_image_is_below_it():
    assert [axes.get_xlabel() for axes in panels(plot_images(IMAGES, LABELS))] == ["0", "1", "2", "0", "1"]
    named = panels(plot_images(IMAGES.tolist(), LABELS.tolist(), ("zero", "one", "two")))
    assert [axes.get_xlabel() for axes in named] == ["zero", "one", "two", "zero", "one"]


def test_a_grid_of_images_is_written(tmp_path):
    plot_images(IMAGES, LABELS, path=tmp_path / "images.png")
    assert (tmp_path / "images.png").read_bytes().startswith(PNG)
    with pytest.raises(ConfigurationError, match=r"cannot write the plot .*images\.nonsense"):
        plot_images(IMAGES, path=tmp_path / "images.nonsense")


def test_no_images_are_an_error():
    with pytest.raises(DataError, match="images is empty"):
        plot_images(IMAGES[:0])
    with pytest.raises(DataError, match="images is empty"):
        plot_predictions(IMAGES[:0], LABELS[:0], PROBABILITIES[:0], bars=True)


# -- bars ------------------------------------------------------------------------------------------------------------


def bars_of(figure):
    return [axes for axes in figure.axes if axes.patches]


@pytest.mark.parametrize("count", [1, 3, 5])
@pytest.mark.parametrize("columns", [None, 1, 2])
def test_next_to_every_image_are_the_probabilities_of_all_classes(count, columns):
    figure = plot_predictions(IMAGES[:count], LABELS[:count], PROBABILITIES[:count], columns=columns, bars=True)
    assert len(figure.axes) == 2 * -(-count // (columns or 3)) * (columns or 3)
    assert len(panels(figure)) == len(bars_of(figure)) == count
    for index, (image, axes) in enumerate(zip(panels(figure), bars_of(figure), strict=True)):
        assert figure.axes[2 * index : 2 * index + 2] == [image, axes]
        np.testing.assert_array_equal(image.images[0].get_array(), IMAGES[index])
        assert [bar.get_height() for bar in axes.patches] == pytest.approx(PROBABILITIES[index])
        assert axes.get_ylim() == (0, 1)
        assert list(axes.get_xticks()) == [0, 1, 2]
    assert not any(axes.axison for axes in figure.axes[2 * count :])


def test_the_true_class_is_blue_and_a_wrong_prediction_red():
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES, bars=True)
    for axes, label, row in zip(bars_of(figure), LABELS, PROBABILITIES, strict=True):
        for number, bar in enumerate(axes.patches):
            wanted = RIGHT if number == label else WRONG if number == row.argmax() else "#b0b0b0"
            assert same_color(bar.get_facecolor(), wanted)
    assert [axes.title.get_color() for axes in panels(figure)] == [RIGHT, RIGHT, WRONG, RIGHT, WRONG]


def test_with_bars_titles_have_the_true_class_in_brackets(tmp_path):
    path = tmp_path / "predictions.png"
    figure = plot_predictions(IMAGES, LABELS, PROBABILITIES, ["zero", "one", "two"], path, bars=True)
    titles = [" ".join(axes.get_title().split()) for axes in panels(figure)]
    assert titles[:3] == ["zero 90% (zero)", "one 80% (one)", "zero 70% (two)"]
    assert "3 of these 5 right" in figure.get_suptitle()
    assert path.read_bytes().startswith(PNG)


def test_without_bars_there_are_none():
    assert bars_of(plot_predictions(IMAGES, LABELS, PROBABILITIES)) == []


# -- figures ---------------------------------------------------------------------------------------------------------


def trained():
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile("sgd", "mean_squared_error")
    return net.fit(np.eye(3), np.ones((3, 1)), steps=5, steps_per_epoch=2, verbose=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: plot_images(IMAGES),
        lambda: plot_predictions(IMAGES, LABELS, PROBABILITIES, bars=True),
        lambda: plot_curves({"loss": {"training": [2, 1]}}, [1, 2]),
        lambda: plot_history(trained()),
    ],
    ids=["images", "predictions", "curves", "history"],
)
def test_every_figure_displays_as_an_image_and_is_not_kept_alive(make):
    figure = make()
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(PNG)
    assert not plt.get_fignums()


def test_an_epoch_cut_short_is_a_point_like_the_others():
    (axes,) = plot_history(trained()).axes
    assert list(axes.lines[0].get_xdata()) == [1, 2, 3]
