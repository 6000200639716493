"""The tables of random networks: narrow in a terminal, complete in a document, and a plot."""

import io
from pathlib import Path

from rich.console import Console

from dnnkit.bench import markdown, terminal
from dnnkit.bench.random_networks.plot import ratios
from dnnkit.bench.random_networks.summary import measured
from dnnkit.bench.report import page
from tests.dnnkit.bench.random_networks.made_up import LONG, SMALL, made_up


def test_a_terminal_of_80_columns_has_room_for_it() -> None:
    text = io.StringIO()
    terminal.show(made_up(), Console(file=text, width=80), full=True)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (line,) = [line for line in lines if SMALL.name in line]  # in one piece
    assert line.split()[-5:] == ["400", "3.00", "12.00", "0.0176", "2.00"]
    (large,) = [line for line in lines if line.startswith("  1024-1024") and "≈" in line]
    assert large.split()[-5:-2] == ["0.75", "≈", "0.99"]
    assert "loss" not in text.getvalue()


def test_a_document_has_every_column_and_the_plot(tmp_path: Path) -> None:
    text = markdown.page(made_up(), tmp_path / "random.md")
    assert "![Random networks](random.png)" in text
    assert (tmp_path / "random.png").read_bytes().startswith(b"\x89PNG")
    head = next(line for line in text.splitlines() if line.startswith("| network"))
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {LONG} |")]
    cells = dict(zip(head.split(" | "), line.split(" | "), strict=True))
    assert cells["jax ÷"] == "0.75"
    assert cells["torch's loss |"] == "0.50001 |"
    assert cells["samples"] == "4,096"
    assert "| jax | 1.50 | 0.75 | 1 of 2 | 1 |" in text
    assert "- count: 2" in text
    assert "![" not in markdown.page(made_up())


def test_the_report_has_them_too() -> None:
    html = page(made_up())
    assert "<h2>All together</h2>" in html
    assert html.count("<svg") == 1


def test_the_picture_begins_with_the_least_ratio() -> None:
    (axes,) = ratios(measured(made_up())).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [LONG, SMALL.name]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_legend().get_texts()] == ["dnnkit", "jax", "torch"]
