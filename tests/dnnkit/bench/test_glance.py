"""The summary: the sentence, the ranking, the questions, all within the width of a terminal."""

import io
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from rich.console import Console

from dnnkit.bench import plots, terminal
from dnnkit.bench.cells import number
from dnnkit.bench.glance import glance
from dnnkit.bench.report import page
from dnnkit.bench.results import Results
from tests.dnnkit.bench import made_up
from tests.dnnkit.bench.random_networks import made_up as made_up_networks


def test_activations_are_ranked_by_when_they_have_learned():
    first = glance(made_up.activations())
    assert first.sentence == (
        "elu reaches 97 % first, in 41 ms; relu and tanh within noise; sigmoid takes 5.0 ×; step never (digits, numba)"
    )
    assert [line[0].text for line in first.ranking.lines] == ["elu", "relu", "tanh", "gelu", "silu", "sigmoid", "step"]
    assert [cell.text for cell in first.ranking.lines[-1]][:4] == ["step", "never", "–", "–"]
    assert first.lines == (
        "Faster per iteration? relu takes 20.0 µs per step; step and elu within noise; gelu 30.0 (1.5 ×).",
        "Fewer iterations? relu needs 900 to 97 %; sigmoid 5,000 (5.6 ×).",
        "Does time grow with the activation? Forward and backward of an element take 0.400 ns (relu) to 2.40 ns "
        "(gelu), 6.0 ×.",
        "What decides the time to 97 %? Its rank correlation is 0.94 with the iterations, 0.71 with the time per step.",
    )


def test_without_97_percent_the_lower_goal_decides():
    late = {name: (inf, *rest) for name, (_, *rest) in made_up.ACTIVATIONS.items()}
    assert glance(made_up.activations(**late)).sentence.startswith("relu reaches 95 % first, in 20 ms; sigmoid takes 5")
    never = {name: (inf, inf, inf, *rest[2:]) for name, (_, *rest) in made_up.ACTIVATIONS.items()}
    first = glance(made_up.activations(**never))
    assert first.sentence.startswith("no activation reaches 95% or 97% within these epochs on numba")
    assert len(first.ranking.lines) == len(never)


def test_noise_makes_more_of_them_alike():
    noisy = made_up.activations()
    noisy.identical.append(("twin", (1.0, 1.0), (2.5, 2.5)))
    first = glance(noisy)
    assert "relu, tanh, gelu and silu within noise; sigmoid takes 5.0 ×" in first.sentence
    assert first.lines[0] == "Faster per iteration? no difference beyond noise: 20.0 to 30.0 µs per step."


def test_other_kinds_have_a_sentence_too():
    assert glance(made_up.steps()).sentence == (
        "numpy takes 4.0 × as long as numba; numba takes 2.0 times the arithmetic floor"
    )
    kernels = glance(made_up.kernels())
    assert "half of numba's kernels reach at least 9% of their upper bound" in kernels.sentence
    assert "numpy takes 3.0 × as long (geometric mean of 28; less for 0)" in kernels.sentence
    assert [line[0].text for line in kernels.ranking.lines][:2] == ["k13", "k13"]
    assert glance(made_up.peers()).sentence == "dnnkit is faster than every other library on 2 of 2 workloads, by 3.0 ×"
    assert "no other library was measured" in glance(made_up.peers(())).sentence
    random = glance(made_up_networks.made_up()).sentence
    assert random.startswith("compared with dnnkit, over 2 networks, jax takes 1.5 × as long (less on 1); torch takes ")
    assert glance(Results("activations", {})) is None
    assert glance(Results("another", {})) is None


KINDS = [made_up.activations, made_up.kernels, made_up.steps, made_up.peers, made_up_networks.made_up]


@pytest.mark.parametrize("make", KINDS)
def test_all_of_it_fits_a_terminal_and_no_number_is_broken(make):
    found, width = make(), 80
    for full in (False, True):
        text = io.StringIO()
        terminal.show(found, Console(file=text, width=width), full)
        assert max(map(len, text.getvalue().splitlines())) <= width
        assert ("--full" in text.getvalue()) is not full
    words = set(text.getvalue().split())
    assert {number(row.summary.median) for row in found.rows if row.table not in ("random", "learning")} <= words


# -- plots ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [made_up.activations, made_up.kernels, made_up.peers])
def test_panels_share_their_scale_and_no_labels_overlap(make):
    for title, _, figure in plots.draw(make()):
        panels = [axes for axes in figure.axes if axes.axison]
        if title.startswith("Accuracy"):
            expect_that_every_line_can_be_picked_out(panels)
        assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1, title
        figure.draw_without_rendering()
        for axes in panels:
            named = [*axes.texts, *axes.get_yticklabels(), *axes.get_xticklabels()]
            boxes = [Text.get_window_extent(text) for text in named if text.get_visible() and text.get_text()]
            assert not [1 for place, one in enumerate(boxes) for other in boxes[:place] if one.overlaps(other)], title


def expect_that_every_line_can_be_picked_out(panels):
    """Each line has a panel, and there a colour that no other line has."""
    assert {axes.get_title() for axes in panels} == set(made_up.ACTIVATIONS)
    for axes in panels:
        strong = {line.get_color() for line in axes.lines if len(line.get_xdata()) == 2} - {plots.MUTED, plots.QUIET}
        assert strong == set(plots.COLORS[:2])


@given(st.lists(st.floats(-3, 3), max_size=12).map(sorted), st.floats(0, 1))
def test_names_are_spread_in_their_order(values, least):
    found = plots.spread(values, least)
    assert len(found) == len(values)
    assert all(b - a >= least - 1e-9 for a, b in pairwise(found))
    if all(b - a >= least for a, b in pairwise(values)):
        assert found == pytest.approx(values)


def test_the_report_begins_with_the_sentence():
    html = page(made_up.steps())
    assert html.index('<p class="sentence">numpy takes 4.0 ×') < html.index("<svg") < html.index("<label>")
