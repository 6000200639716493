"""What cells show, in a real kernel: progress, plots, and figures that are a cell's last expression."""

import base64
import json
import re
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from dnnkit.training.notebook import in_notebook

PNG = b"\x89PNG\r\n\x1a\n"

CELLS = {
    "setup": """
        import json, os, warnings
        import numpy as np
        os.environ.pop("DNNKIT_BACKEND", None)
        import dnnkit as dk
        from dnnkit import plots
        from dnnkit.training.notebook import Cell, in_notebook
        from dnnkit.training.progress import NotebookProgress
        warnings.simplefilter("error")
        dk.set_backend("numpy")
        rng = np.random.default_rng(0)
        x, images = rng.normal(size=(40, 3)), rng.integers(0, 9, (2, 4, 4))
        def fit(**options):
            net = dk.Sequential([dk.Dense(1)], seed=0)
            net.compile(dk.SGD(0.01), "mean_squared_error")
            return net.fit(x, x[:, :1], batch_size=10, **options)
    """,
    "where it runs": "print(in_notebook())",
    "three epochs": "history = fit(epochs=3, validation_split=0.25)",
    "their numbers": "print(json.dumps(history.history))",
    "a bar is asked for": "fit(epochs=2, verbose=1);",
    "a hundred epochs": "fit(epochs=100);",
    "forty epochs": "fit(epochs=40);",
    "forty-one epochs": "fit(epochs=41);",
    "counted steps": "fit(steps=7, initial_epoch=4);",
    "plain lines": "fit(epochs=2, verbose=2);",
    "silence": "fit(epochs=2, verbose=0);",
    "an interrupt": """
        class Interrupt(dk.Callback):
            epoch = 0
            def on_epoch_begin(self, epoch, logs):
                self.epoch = epoch
            def on_batch_end(self, batch, logs):
                if (self.epoch, batch) == (2, 1):
                    raise KeyboardInterrupt
        try:
            fit(epochs=5, callbacks=Interrupt())
        except KeyboardInterrupt:
            pass
    """,
    "two trainings": "fit(epochs=1); fit(epochs=2);",
    "an epoch that runs": """
        progress = NotebookProgress(epochs=7)
        progress.begin_epoch(1, 0, 10, 1000)
        progress.end_epoch({"loss": 0.5}, 0.01)
        progress.begin_epoch(2, 2, 10, 1000)
        progress._shown = 0.0  # long ago
        progress.advance(4, {"loss": 0.25})
    """,
    "a loss plot": "plot = dk.LossPlot(); fit(epochs=3, callbacks=plot, verbose=0);",
    "a loss plot of one epoch": "fit(epochs=1, callbacks=dk.LossPlot(), verbose=0);",
    "a loss plot by hand": """
        plot.init()
        plot.add(1, 0.5)
        plot.add(2, 0.25, 0.75)
        plot.finish()
    """,
    "progress and plot": "fit(epochs=3, callbacks=dk.LossPlot());",
    "curves": "history.plot()",
    "images": "plots.plot_images(images)",
    "predictions": "plots.plot_predictions(images, [0, 1], [[0.9, 0.1], [0.6, 0.4]], bars=True)",
    "a cell": """
        cell = Cell()
        cell.show_text("first")
        cell.show_text("second\\nline")
    """,
    "two outputs": """
        one, other = Cell(), Cell()
        one.show_text("one")
        other.show_text("other")
        one.show(plots.plot_images(images))
        other.show_text("another")
    """,
    "a cell that shows nothing": "cell = Cell()",
    "downloading": """
        import contextlib, io
        from dnnkit.datasets.mirror import show_progress
        with show_progress("http://mirror/file.gz") as report:
            report(0, 1000)
            report(500, 1000)
            report(1000, 1000)
    """,
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> dict[str, list[Any]]:
    """The outputs of every cell, after the kernel has run all."""
    sources = {name: "\n".join(line.removeprefix(" " * 8) for line in text.split("\n")) for name, text in CELLS.items()}
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text.strip()) for text in sources.values()])
    folder = str(tmp_path_factory.mktemp("notebook"))
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def text_of(outputs: list[Any]) -> list[str]:
    """Return the lines of the only output."""
    (output,) = outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/plain"}
    return output.data["text/plain"].split("\n")


def written(outputs: list[Any], stream: str) -> str:
    """Return the printed text, if there is no other output."""
    assert {(output.output_type, output.get("name")) for output in outputs} == {("stream", stream)}
    return "".join(output.text for output in outputs)


def is_picture(output: Any) -> bool:
    content = base64.b64decode(output.get("data", {}).get("image/png", ""))
    return content.startswith(PNG) and len(content) > 1000


def titles(lines: list[str]) -> list[str]:
    return [line.split(" - ")[0] for line in lines]


def test_a_kernel_is_a_notebook_and_this_process_is_none(shown):
    assert written(shown["where it runs"], "stdout") == "True\n"
    assert in_notebook() is False
    assert shown["setup"] == []


def test_a_training_is_one_output_with_a_line_per_epoch(shown):
    lines = text_of(shown["three epochs"])
    history = json.loads(written(shown["their numbers"], "stdout"))
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        numbers = " - ".join(f"{name}: {values[epoch]:.4f}" for name, values in history.items())
        assert re.fullmatch(rf"Epoch {epoch + 1}/3 - [\d.: s]+ - [\d.]+ µs/sample - {re.escape(numbers)}", line)


def test_a_live_bar_is_the_same_there(shown):
    assert titles(text_of(shown["a bar is asked for"])) == ["Epoch 1/2", "Epoch 2/2"]


def test_of_many_epochs_the_first_and_the_last_are_shown(shown):
    lines = titles(text_of(shown["a hundred epochs"]))
    first, last = [f"Epoch {epoch}/100" for epoch in range(1, 21)], [f"Epoch {epoch}/100" for epoch in range(81, 101)]
    assert lines == [*first, "... 60 epochs ...", *last]


def test_nothing_is_left_out_of_forty_epochs(shown):
    assert titles(text_of(shown["forty epochs"])) == [f"Epoch {epoch}/40" for epoch in range(1, 41)]
    assert "Epoch 21/41" not in titles(text_of(shown["forty-one epochs"]))
    assert len(text_of(shown["forty-one epochs"])) == 41  # forty and a line for the omitted one


def test_epochs_of_counted_steps_are_numbered(shown):
    assert titles(text_of(shown["counted steps"])) == ["Epoch 5/6", "Epoch 6/6"]


def test_plain_lines_and_silence_work_as_elsewhere(shown):
    assert titles(written(shown["plain lines"], "stdout").splitlines()) == ["Epoch 1/2", "Epoch 2/2"]
    assert shown["silence"] == []


def test_an_interrupt_leaves_the_epochs_that_were_finished(shown):
    assert titles(text_of(shown["an interrupt"])) == ["Epoch 1/5", "Epoch 2/5"]


def test_every_training_has_a_separate_output(shown):
    one, two = shown["two trainings"]
    assert titles(text_of([one])) == ["Epoch 1/1"]
    assert titles(text_of([two])) == ["Epoch 1/2", "Epoch 2/2"]


def test_while_an_epoch_runs_its_line_shows_progress(shown):
    finished, running = text_of(shown["an epoch that runs"])
    assert finished == "Epoch 2/7 - 0.01 s - 10 µs/sample - loss: 0.5000"
    assert re.fullmatch(r"Epoch 3/7 - 4/10 - ETA [\d.: s]+ - [\d.]+ µs/sample - loss: 0\.2500", running)


@pytest.mark.parametrize("name", ["a loss plot", "a loss plot of one epoch", "a loss plot by hand"])
def test_a_loss_plot_is_one_picture(shown, name):
    (output,) = shown[name]
    assert output.output_type == "display_data"
    assert is_picture(output)


def test_a_plot_grows(shown):
    """What remains is the last plot: more is drawn on it than on that of one epoch."""
    (three,), (one,) = shown["a loss plot"], shown["a loss plot of one epoch"]
    assert three.data["image/png"] != one.data["image/png"]


def test_progress_and_plot_are_an_output_each(shown):
    pictures = [output for output in shown["progress and plot"] if is_picture(output)]
    texts = [output for output in shown["progress and plot"] if not is_picture(output)]
    assert len(pictures) == 1
    assert titles(text_of(texts)) == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]


@pytest.mark.parametrize("name", ["curves", "images", "predictions"])
def test_a_figure_that_is_a_cells_last_expression_is_displayed(shown, name):
    (output,) = shown[name]
    assert output.output_type == "execute_result"
    assert is_picture(output)


def test_a_cells_output_is_replaced(shown):
    assert text_of(shown["a cell"]) == ["second", "line"]
    assert shown["a cell that shows nothing"] == []


def test_two_outputs_of_a_cell_are_replaced_each_in_its_place(shown):
    first, second = shown["two outputs"]
    assert is_picture(first)
    assert text_of([second]) == ["another"]


def test_a_download_is_one_line(shown):
    assert written(shown["downloading"], "stderr") == "downloading http://mirror/file.gz, 1,000 bytes\n"
