"""The display of networks, layers and histories: on a terminal of 80 columns, in a REPL, in a notebook."""

from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

X, Y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3


def network(name: str | None = None) -> dk.Sequential:
    layers = [dk.Dense(5, activation="tanh", name="hidden"), dk.Dropout(0.2), dk.Dense(3, activation="softmax")]
    return dk.Sequential([dk.Input((4,)), *layers], seed=0, name=name)


def trained(epochs: int = 2) -> dk.Sequential:
    net = network("<mlp>")
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(X, Y, epochs=epochs, validation_data=(X, Y), verbose=0)
    return net


@dataclass(frozen=True)
class Own(dk.Layer):
    rate: float = 0.5


def test_layers_are_written_as_they_are_made() -> None:
    for text in (
        "Dense(3)",
        "Dense(3, activation='relu', use_bias=False)",
        "Dense(3, name='out', input_shape=(4,))",
        "Rescaling(0.5, offset=1.0)",
        "Dropout(0.5)",
        "Flatten()",
        "ReLU()",
        "LeakyReLU(negative_slope=0.01)",
        "Activation('tanh')",
    ):
        assert repr(eval(text, vars(dk.layers))) == text
    assert repr(Own(rate=1.0, name="mine")) == "Own(rate=1.0, name='mine')"


def test_a_network_shows_its_layers_its_size_and_its_training() -> None:
    assert repr(network()).splitlines() == [
        "<Sequential [",
        "    Dense(5, activation='tanh', name='hidden'),  # hidden: 25",
        "    Dropout(0.2),",
        "    Dense(3, activation='softmax'),  # dense: 18",
        "] 43 parameters, float32, 0.2 KiB>",
    ]
    with dk.use_backend("numpy"):
        last = repr(trained()).splitlines()[-1]
    about = "Adam on SparseCategoricalCrossentropy, metrics accuracy; trained for 2 epochs"
    assert last == f"] 43 parameters, float32, 0.2 KiB, on numpy; {about}>"
    assert repr(dk.Sequential()) == "<Sequential of no layers>"
    assert repr(dk.Sequential([dk.Dense(3)])) == "<Sequential [\n    Dense(3),\n] not built, float32>"
    deep = dk.Sequential([dk.Dense(3) for _ in range(40)])
    assert len(repr(deep).splitlines()) < 20
    assert "...  # 28 more" in repr(deep)


def test_a_summary_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    net = dk.Sequential([dk.Input((1000, 1000, 1000)), dk.Flatten(name="a" * 100), dk.Dropout(0.1)], seed=0)
    net.summary()
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "(None, 1000000000)" in text
    network("mlp").summary()
    text = capsys.readouterr().out
    for word in ("Sequential 'mlp'", "hidden (Dense, tanh)", "(None, 5)", "25", "43 parameters, float32, 0.2 KiB"):
        assert word in text
    said: list[str] = []
    network().summary(line_length=40, print_fn=said.append)
    assert max(map(len, said[0].splitlines())) <= 60  # as narrow as shapes and counts allow
    with pytest.raises(ConfigurationError, match="line_length is 0"):
        network().summary(0)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert tag in ("div", "b", "code", "table", "thead", "tbody", "tr", "td", "th", "br", "p")
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_notebooks_are_shown_small_and_whole_html() -> None:
    net = trained()
    for shown, words in (
        (net._repr_html_(), ["Sequential '<mlp>'", "hidden (Dense, tanh)", "(None, 3)", "43 parameters", "2 epochs"]),
        (net.history._repr_html_(), ["2 epochs", "val_accuracy", f"{net.history['loss'][0]:.4g}"]),
        (dk.Sequential()._repr_html_(), ["not built"]),
        (net.layers[0]._repr_html_(), ["Dense(5, activation='tanh', name='hidden')", "hidden/kernel", "(4, 5)"]),
        (dk.Dense(3)._repr_html_(), ["Dense(3)"]),
        (network().layers[1]._repr_html_(), ["Dropout(0.2, name='dropout')"]),
    ):
        parser = _Tags()
        parser.feed(shown)
        assert parser.open == []
        assert all(word in parser.text for word in words)
        assert len(shown) < 4000


def test_a_history_shows_its_ends_and_its_best_epoch() -> None:
    history = trained(20).history
    history.history["val_loss"] = [abs(epoch - 8) + 0.5 for epoch in range(20)]
    lines = repr(history).splitlines()
    assert lines[0].startswith("<History of 20 epochs in ")
    assert lines[1].split() == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    assert [line.split()[0] for line in lines[2:-1]] == ["1", "2", "3", "...", "9", "...", "18", "19", "20"]
    assert "9 best" in lines[6]
    assert repr(network().history) == "<History of no epochs>"
    sparse = network()
    sparse.compile("sgd", "mse")
    told = repr(sparse.fit(X, np.eye(3)[Y], epochs=3, validation_data=(X, np.eye(3)[Y]), validation_freq=2, verbose=0))
    assert "nan" not in told
