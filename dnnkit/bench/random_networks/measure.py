"""Networks trained by peers in turn, with a persistent process per peer and several rounds per network."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dnnkit.bench.peers.children import Child, ChildFailed
from dnnkit.bench.peers.registry import Peer, choose_peers, not_installed
from dnnkit.bench.peers.works import OWN, PRODUCT, Dtype, Work, product_flops
from dnnkit.bench.progress import Stage
from dnnkit.bench.random_networks.summary import measured
from dnnkit.bench.results import Results, Row
from dnnkit.bench.timing import TWINS
from dnnkit.errors import ConfigurationError

USUAL_PEERS = "dnnkit,jax,torch"
TIMEOUT = 600.0
"""Timeout of a peer's answer in seconds."""


def choose(names: str | None) -> list[Peer]:
    """Return the comma-separated peers, after dnnkit, the baseline."""
    try:
        chosen = choose_peers(names or USUAL_PEERS, general=True)
    except SystemExit as error:
        raise ConfigurationError(str(error)) from None
    return [*choose_peers(OWN), *(peer for peer in dict.fromkeys(chosen) if peer.name != OWN)]


class Run:
    """The children and their measurements.

    Arguments:
        peers: the peers, dnnkit first.
        results: receives rows, limits and warnings.
    """

    def __init__(self, peers: Sequence[Peer], results: Results) -> None:
        self._peers, self._results = [*peers, peers[0]._replace(again=True)], results
        self._children: dict[str, Child] = {}

    def measure(self, works: Sequence[Work], rounds: int, size: int, stage: Stage) -> None:
        """Add the rows `random`, ms per epoch of each network by each peer, and the fastest product of each dtype.

        Arguments:
            works: the networks.
            rounds: number of times each peer trains each network.
            size: rows and columns of the product.
            stage: reports progress.
        """
        with ExitStack() as stack:
            stack.callback(self._end)
            self._begin(stage)
            rates = self._rates(sorted({work.dtype for work in works}), size, stage)
            for number, work in enumerate(works):
                peers = self._peers if number < TWINS else self._peers[:-1]
                advance = stage(f"{number + 1} of {len(works)}: {work.name}", len(peers) * (rounds + 1))
                self._network(work, peers, rounds, rates.get(work.dtype), advance)
        self._results.warnings += [words for network in measured(self._results) for words in network.disagreements()]

    def _begin(self, stage: Stage) -> None:
        """Start the children; peers without their library are skipped with a warning."""
        advance = stage("starting", len(self._peers))
        there: list[Peer] = []
        versions: dict[str, dict[str, str]] = {}
        for peer in self._peers:
            try:
                about = self._child(peer)
            except ChildFailed as error:
                about, why = {}, str(error)
            else:
                why = not_installed(peer, about) if "missing" in about else ""
            if why and peer.name == OWN:
                raise ConfigurationError(f"dnnkit cannot be measured: {why}")
            if why:
                self._results.warnings.append(f"{peer.title} was skipped: {why}")
            else:
                there.append(peer)
                versions |= {} if peer.again else {peer.name: about["versions"]}
            advance()
        self._peers = there
        self._results.settings |= {"versions": versions}

    def _child(self, peer: Peer) -> dict[str, Any]:
        child = self._children[peer.title] = Child(peer, TIMEOUT)
        return child.begin()

    def _end(self) -> None:
        for child in self._children.values():
            child.end()

    def _ask(self, peer: Peer, do: str, work: Work) -> dict[str, Any] | None:
        """Return the answer; None with a warning if the child failed. The next network gets a new child."""
        question = {} if do == "train" else {"work": work.to_json()}
        try:
            if peer.title not in self._children:
                self._child(peer)
            return self._children[peer.title].ask(do, **question)
        except ChildFailed as error:
            self._children.pop(peer.title, None)
            self._results.warnings.append(f"{peer.title} failed on {work.name}: {error}")
            return None

    def _rates(self, dtypes: Sequence[Dtype], size: int, stage: Stage) -> dict[Dtype, float]:
        """Return the FLOP rate of the fastest product of each dtype by any peer."""
        peers = [peer for peer in self._peers if not peer.again and not peer.variant]
        advance, rates = stage("matrix products", len(dtypes) * len(peers)), {}
        for dtype in dtypes:
            work, seconds = replace(PRODUCT, size=size, dtype=dtype), list[float]()
            for peer in peers:
                answer = self._ask(peer, "gemm", work)
                seconds += answer["seconds"] if answer else []
                advance()
            if seconds:
                rates[dtype] = 2 * size**3 / min(seconds)
                self._results.limits[f"product, {dtype}, the fastest peer's, FLOPs per second"] = rates[dtype]
        return rates

    def _network(
        self, work: Work, peers: Sequence[Peer], rounds: int, rate: float | None, advance: Callable[[], None]
    ) -> None:
        able: list[Peer] = []
        answers: dict[str, list[dict[str, Any]]] = {peer.title: [] for peer in peers}
        losses: dict[str, float] = {}
        for peer in peers:
            answer = self._ask(peer, "network", work)
            if answer is not None:
                able.append(peer)
                losses[peer.title] = answer["loss"]
            advance()
        for number in range(rounds):
            turn = number % max(1, len(able))
            order = able[turn:] + able[:turn]
            for peer in order if number % 2 == 0 else order[::-1]:
                answer = self._ask(peer, "train", work)
                if answer is None:
                    able.remove(peer)
                else:
                    answers[peer.title].append(answer)
                advance()
        for peer in able:
            row = _row(work, peer, losses[peer.title], answers[peer.title], rate)
            if not peer.again:
                self._results.rows.append(row)
        own, again = (tuple(answer["seconds"] for answer in answers.get(name, ())) for name in (OWN, f"{OWN}-again"))
        if own and again:
            self._results.identical.append((f"dnnkit, {work.name}", own, again))


def _row(work: Work, peer: Peer, loss: float, answers: Sequence[dict[str, Any]], rate: float | None) -> Row:
    samples = tuple(1e3 * answer["seconds"] for answer in answers)
    flops = product_flops(work)
    facts: dict[str, Any] = {
        "loss": loss,
        "epochs": answers[-1]["epochs"],
        "cores": max(answer["cores"] for answer in answers),
        "operations": flops,
        "steps": work.steps,
        "work": work.to_json(),
    }
    facts |= {"floor": 1e3 * flops / rate} if rate else {}
    return Row("random", {"peer": peer.title, "network": work.name}, "ms per epoch", samples, facts)
