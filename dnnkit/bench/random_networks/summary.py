"""Evaluation of random networks: ratios to dnnkit, the lower bound, and peers with a different loss."""

from collections.abc import Iterator, Sequence
from math import exp, log

from dnnkit.bench.peers.works import OWN
from dnnkit.bench.results import Results, Row
from dnnkit.bench.statistics import Ratio, ratio
from dnnkit.deferred import dataclass

TOLERANCES = {"float32": 1e-4, "float64": 1e-6}
"""Relative difference beyond rounding, between losses of the second epoch after the same steps."""


@dataclass(frozen=True)
class Measured:
    """A network, as measured with every peer that trained it."""

    name: str
    rows: dict[str, Row]

    @property
    def own(self) -> Row | None:
        """dnnkit's row."""
        return self.rows.get(OWN)

    def ratio(self, peer: str) -> Ratio | None:
        """Return the ratio of a peer's time to dnnkit's."""
        if self.own is None or peer not in self.rows:
            return None
        return ratio(self.own.samples, self.rows[peer].samples)

    @property
    def flops_per_second(self) -> float | None:
        """FLOP rate of dnnkit's matrix products."""
        return None if self.own is None else self.own.facts["operations"] / (1e-3 * self.own.summary.median)

    @property
    def floors(self) -> float | None:
        """Ratio of dnnkit's time to that of the matrix products alone."""
        own = self.own
        return None if own is None or "floor" not in own.facts else own.summary.median / own.facts["floor"]

    def disagreements(self) -> Iterator[str]:
        """Describe peers whose loss differs from dnnkit's."""
        if self.own is None:
            return
        expected, tolerance = self.own.facts["loss"], TOLERANCES[self.own.facts["work"]["dtype"]]
        for peer, row in self.rows.items():
            value = row.facts["loss"]
            if not abs(value - expected) <= tolerance * abs(expected):
                yield f"{peer} differs on {self.name}: loss {value:.8g}, but dnnkit's is {expected:.8g}"


@dataclass(frozen=True)
class Total:
    """A peer's ratios to dnnkit over all networks."""

    peer: str
    mean: float
    """Geometric mean."""
    least: float
    at: str
    slower: int
    """Number of networks for which dnnkit's median is longer."""
    surely: int
    """Number of those whose difference exceeds chance and noise."""
    count: int


def measured(results: Results) -> list[Measured]:
    """Return the networks in their order."""
    found: dict[str, dict[str, Row]] = {}
    for row in results.of("random"):
        found.setdefault(str(row.case["network"]), {})[str(row.case["peer"])] = row
    return [Measured(name, rows) for name, rows in found.items()]


def others(networks: Sequence[Measured]) -> list[str]:
    """Return the peers other than dnnkit, in the order of the rows."""
    return [peer for peer in dict.fromkeys(peer for network in networks for peer in network.rows) if peer != OWN]


def totals(networks: Sequence[Measured], noise: float) -> list[Total]:
    """Return a total per peer that was compared with dnnkit.

    Arguments:
        networks: the measured networks.
        noise: relative difference between runs of identical code.
    """
    found = []
    for peer in others(networks):
        ratios = [(between, network.name) for network in networks if (between := network.ratio(peer)) is not None]
        if not ratios:
            continue
        least, at = min((between.value, name) for between, name in ratios)
        found.append(
            Total(
                peer,
                geometric_mean([between.value for between, _ in ratios]),
                least,
                at,
                sum(between.value < 1 for between, _ in ratios),
                sum(between.verdict(noise) == "faster" for between, _ in ratios),
                len(ratios),
            )
        )
    return found


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of at least one positive number."""
    return exp(sum(map(log, values)) / len(values))
