"""`net.plot`: a plot of any graph, whose boxes hide neither each other nor the lines between others."""

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.errors import ConfigurationError
from dnnkit.network.layout import LINE, lay_out


@settings(max_examples=40)
@given(st.data())
def test_no_box_covers_another_or_a_line(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14))
    reads = [
        data.draw(st.lists(st.integers(0, box - 1), max_size=3, unique=True)) if box else [] for box in range(count)
    ]
    widths = [data.draw(st.floats(1, 3)) for _ in range(count)]
    layout = lay_out(reads, widths)
    taken: dict[int, list[tuple[float, float]]] = {}
    for box, row in enumerate(layout.rows):
        half = widths[box] / 2
        taken.setdefault(row, []).append((layout.centres[box] - half, layout.centres[box] + half))
    for source, box, passed in layout.lines:
        assert source in reads[box]
        assert layout.rows[source] + len(passed) + 1 == layout.rows[box]
        for row, centre in enumerate(passed, layout.rows[source] + 1):
            taken[row].append((centre - LINE / 2, centre + LINE / 2))
    assert len(layout.lines) == sum(map(len, reads))
    for spans in taken.values():
        spans.sort()
        assert all(end < begin for (_, end), (begin, _) in pairwise(spans))
        assert spans[0][0] >= -1e-9
        assert spans[-1][1] <= layout.width + 1e-9


def test_a_chain_is_drawn_straight_down() -> None:
    layout = lay_out([[], [0], [1], [2]], [1.0, 2.0, 1.5, 1.0])
    assert layout.rows == [0, 1, 2, 3]
    assert len(set(map(lambda centre: round(centre, 6), layout.centres))) == 1


def test_a_picture_is_written_and_names_every_call(tmp_path: Path) -> None:
    left, right = dk.Input((4,), name="left"), dk.Input((4,), name="right")
    shared = dk.Dense(3, "tanh", name="shared")
    within = dk.Sequential([dk.Dense(3)], name="within")
    y = dk.Add(name="sum")([shared(left), within(shared(right))])
    net = dk.Model([left, right], [y, dk.Dense(2, name="out")(y)])
    net.freeze("within")
    figure = net.plot(tmp_path / "net.svg")
    written = {text.get_text() for text in figure.axes[0].texts}
    assert {"left", "right", "shared", "shared#2", "within", "sum", "out"} <= written
    assert {"Dense tanh · 3 · 15", "Dense tanh · 3", "NestedModel frozen · 3 · 12", "Dense · 2 · 8"} <= written
    assert ElementTree.parse(tmp_path / "net.svg").getroot().tag.endswith("svg")
    net.plot(tmp_path / "net.png")
    assert (tmp_path / "net.png").read_bytes()[:4] == b"\x89PNG"
    dk.Sequential([dk.Dense(3), dk.Flatten()]).plot(tmp_path / "not built.svg")
    with pytest.raises(ConfigurationError, match="cannot write the plot"):
        net.plot(tmp_path / "net.doc")
