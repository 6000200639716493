"""Random networks as tables: a line per network, and a line per peer over all networks."""

from collections.abc import Iterator, Sequence
from math import inf

from dnnkit.bench.cells import Cell, Table, number, text
from dnnkit.bench.peers.works import OWN
from dnnkit.bench.random_networks.summary import Measured, measured, others, totals
from dnnkit.bench.results import Results

MISSING = Cell("–", inf)
STEP = "µs per step"
EPOCH = "ms per epoch"


def tables(results: Results) -> list[Table]:
    """Return the tables; none without such networks."""
    networks = measured(results)
    return [networks_table(networks, results.noise)] if networks else []


def networks_table(networks: Sequence[Measured], noise: float) -> Table:
    """Return a table with a line per network."""
    peers = others(networks)
    ratios = [f"{peer} ÷" for peer in peers]
    losses = [f"{peer}'s loss" for peer in (OWN, *peers)]
    aside = ["loss", "samples", "epochs", EPOCH, "quartiles", *losses]
    head = ("network", STEP, *ratios, "GFLOP/s", "× floor", *aside)
    note = (
        "Medians over the rounds. ÷: a peer's time divided by dnnkit's; ≈ marks differences within chance or noise. "
        "GFLOP/s of dnnkit's matrix products; the floor is their time at the rate of the fastest product of the same "
        "dtype."
    )
    lines = tuple(tuple(_line(network, peers, noise)) for network in networks)
    return Table("Random networks", note, head, lines, frozenset(aside))


def _line(network: Measured, peers: Sequence[str], noise: float) -> Iterator[Cell]:
    own, facts = network.own, next(iter(network.rows.values())).facts
    work = facts["work"]
    yield text(network.name)
    yield _number(None if own is None else 1e3 * own.summary.median / facts["steps"])
    for peer in peers:
        between = network.ratio(peer)
        if between is None:
            yield MISSING
        else:
            same = between.verdict(noise) == "indistinguishable"
            yield Cell(f"{'≈ ' if same else ''}{between.value:.2f}", between.value)
    rate, floors = network.flops_per_second, network.floors
    yield _number(None if rate is None else rate / 1e9)
    yield MISSING if floors is None else Cell(f"{floors:.2f}", floors)
    yield text(work["loss"])
    yield Cell(f"{work['samples']:,}", work["samples"])
    yield Cell(str(facts["epochs"]), facts["epochs"])
    yield _number(None if own is None else own.summary.median)
    yield text("–" if own is None else f"{number(own.summary.low)} – {number(own.summary.high)}")
    for peer in (OWN, *peers):
        loss = network.rows[peer].facts["loss"] if peer in network.rows else None
        yield MISSING if loss is None else Cell(f"{loss:.8g}", loss)


def _number(value: float | None) -> Cell:
    return MISSING if value is None else Cell(number(value), value)


def totals_table(networks: Sequence[Measured], noise: float) -> Table:
    """Return a table with a line per peer over all networks."""
    head = ("peer", "mean ÷", "least ÷", "below 1", "surely", "least at")
    lines = tuple(
        (
            text(total.peer),
            Cell(f"{total.mean:.2f}", total.mean),
            Cell(f"{total.least:.2f}", total.least),
            Cell(f"{total.slower} of {total.count}", total.slower),
            Cell(str(total.surely), total.surely),
            text(total.at),
        )
        for total in totals(networks, noise)
    )
    note = "Geometric mean. Below 1: dnnkit is slower; surely: beyond chance and noise."
    return Table("All together", note, head, lines)
