"""The order of measurements, and peers that are missing, break or do other work."""

from typing import Any

import pytest

from dnnkit.bench.peers.children import ChildFailed
from dnnkit.bench.peers.registry import Peer
from dnnkit.bench.progress import silent
from dnnkit.bench.random_networks import measure
from dnnkit.bench.random_networks.draw import networks
from dnnkit.bench.results import Results
from dnnkit.errors import ConfigurationError

WORKS = networks(2, 0, 0.01)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Fake children: jax is missing, torch breaks on the first network, numpy is wrong on the second."""
    calls: list[tuple[str, str]] = []

    class MadeUp:
        def __init__(self, peer: Peer, timeout: float) -> None:
            self._peer, self._network = peer, ""

        def begin(self) -> dict[str, Any]:
            calls.append((self._peer.title, "begin"))
            return {"missing": "jax"} if self._peer.name == "jax" else {"versions": {"p": "1"}}

        def ask(self, do: str, **question: Any) -> dict[str, Any]:
            calls.append((self._peer.title, do))
            if do == "gemm":
                return {"seconds": [2e-3, 1e-3 if self._peer.name == "numpy" else 3e-3]}
            if do == "network":
                self._network = question["work"]["name"]
            elif (self._peer.name, self._network) == ("torch", WORKS[0].name):
                raise ChildFailed("out of memory")
            is_wrong = (self._peer.name, self._network) == ("numpy", WORKS[1].name)
            return {"seconds": 1e-3, "loss": 0.6 if is_wrong else 0.5, "epochs": 2, "cores": 1.0}

        def end(self) -> None:
            calls.append((self._peer.title, "end"))

    monkeypatch.setattr(measure, "Child", MadeUp)
    return calls


def test_a_whole_run(asked: list[tuple[str, str]]) -> None:
    results = Results("random", {})
    measure.Run(measure.choose("numpy,jax,torch"), results).measure(WORKS, 2, 100, silent)
    first, second = ([row.case["peer"] for row in results.rows if row.case["network"] == work.name] for work in WORKS)
    assert (first, second) == (["dnnkit", "numpy"], ["dnnkit", "numpy", "torch"])
    assert results.warnings == [
        "jax was skipped: jax is not installed; to install it: pip install jax",
        f"torch failed on {WORKS[0].name}: out of memory",
        f"numpy differs on {WORKS[1].name}: loss 0.6, but dnnkit's is 0.5",
    ]
    assert [name for name, _, _ in results.identical] == [f"dnnkit, {work.name}" for work in WORKS]
    (limit,) = results.limits.values()  # both are of float64
    assert limit == 2 * 100**3 / 1e-3
    row = results.rows[0]
    assert row.samples == (1.0, 1.0)
    assert row.facts["floor"] == pytest.approx(1e3 * row.facts["operations"] / limit)
    trained = [peer for peer, do in asked if do == "train"]
    assert trained[:4] == ["dnnkit", "numpy", "torch", "dnnkit-again"]
    assert trained[4:7] == ["dnnkit", "dnnkit-again", "numpy"]  # the next round starts, in reverse order
    assert {peer for peer, do in asked if do == "end"} >= {"dnnkit", "numpy", "torch", "dnnkit-again"}


def test_dnnkit_is_always_measured_and_unknown_peers_are_rejected() -> None:
    assert [peer.name for peer in measure.choose(None)] == ["dnnkit", "jax", "torch"]
    assert [peer.name for peer in measure.choose("numpy,numpy")] == ["dnnkit", "numpy"]
    assert [peer.name for peer in measure.choose("dnnkit")] == ["dnnkit"]
    with pytest.raises(ConfigurationError, match="unknown peers keras: choose from dnnkit"):
        measure.choose("keras")
