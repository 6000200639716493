"""Plot of random networks: each peer's time relative to dnnkit's, the smallest ratio first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dnnkit.bench.random_networks.summary import Measured, others

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS = ("#e69f00", "#009e73", "#cc79a7", "#d55e00")


def ratios(networks: Sequence[Measured]) -> "Figure":
    """Plot a point per network and peer on a log axis, with its interval; networks are sorted by smallest ratio."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    from dnnkit.figures import Figure

    peers = others(networks)
    found = {network.name: [network.ratio(peer) for peer in peers] for network in networks}
    least = {name: min((r.value for r in known if r is not None), default=0.0) for name, known in found.items()}
    names = sorted((name for name in found if least[name]), key=lambda name: least[name])
    figure = Figure(figsize=(9, 1.2 + 0.24 * len(names)), layout="constrained")
    axes = figure.subplots()
    for number, peer in enumerate(peers):
        places = [place for place, name in enumerate(names) if found[name][number] is not None]
        known = [between for name in names if (between := found[name][number]) is not None]
        values = [between.value for between in known]
        reach = [
            [between.value - between.low if between.low > 0 else 0.0 for between in known],
            [between.high - between.value if between.low > 0 else 0.0 for between in known],
        ]
        color = COLORS[number % len(COLORS)]
        axes.errorbar(values, places, xerr=reach, fmt="o", markersize=4, color=color, elinewidth=1, label=peer)
    axes.axvline(1, color="#0072b2", linewidth=1.2, label="dnnkit")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("time ÷ dnnkit's", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="upper right")  # the smallest ratios are at the top
    return figure
