"""The persistent child: one peer, one network after another, a line of JSON in and one out.

python dnnkit/bench/peers stay PEER

It first writes the result of `run_one.probe`. Then it accepts

    {"do": "gemm", "work": ...}      seconds per product
    {"do": "network", "work": ...}   build a network in place of the previous one and train two epochs, the first of
                                     which compiles; answers the second's loss, which is the same for every peer
    {"do": "train"}                  seconds per epoch of the counted epochs, or of fewer that fit into `LONGEST`

and answers once it is idle, because threads that spin for work would take a processor from the next peer.
"""

import gc
import json
import os
import sys
from pathlib import Path
from time import perf_counter, process_time, sleep
from types import ModuleType
from typing import Any

from . import machine, run_one, samples
from .registry import Peer, find_peers
from .works import Network, Work

LONGEST = 1.0
"""Maximum seconds of a measurement of more than one epoch."""
PAUSE, BUSY, PATIENCE = 0.02, 0.05, 1.0
"""Seconds of a pause, share of it that an idle process may compute, and maximum seconds to wait for idleness."""


class Stay:
    """A peer and its current network."""

    def __init__(self, module: ModuleType, peer: Peer) -> None:
        self._module, self._peer = module, peer
        self._network: Network | None = None
        self._work: Work | None = None
        self._epochs = 1

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a question."""
        if "work" in question:
            self._work = Work.from_json(question["work"])
        assert self._work is not None, "expected a question with a work first"
        if question["do"] == "gemm":
            return run_one.gemm(self._module, self._peer, self._work, Path())
        return self._make(self._work) if question["do"] == "network" else self._train()

    def _make(self, work: Work) -> dict[str, Any]:
        self._network = None
        gc.collect()
        x, y = samples.drawn(work)
        self._network = self._module.network(work, x, y, self._peer.variant)
        start = perf_counter()
        self._network.train(1)
        compiled = perf_counter()
        loss = self._network.train(1)
        self._epochs = max(1, min(work.counted, int(LONGEST / (perf_counter() - compiled))))
        return {"first": compiled - start, "loss": float(loss), "plan": self._network.plan}

    def _train(self) -> dict[str, Any]:
        assert self._network is not None, "expected the question network first"
        start, busy = perf_counter(), process_time()
        self._network.train(self._epochs)
        seconds, busy = perf_counter() - start, process_time() - busy
        return {"seconds": seconds / self._epochs, "epochs": self._epochs, "cores": busy / seconds}


def rest() -> None:
    """Wait until this process is idle, at most `PATIENCE` seconds."""
    end = perf_counter() + PATIENCE
    while perf_counter() < end:
        busy = process_time()
        sleep(PAUSE)
        if process_time() - busy < BUSY * PAUSE:
            return


def main(arguments: list[str]) -> int:
    """Answer until the input ends; libraries' own output is redirected to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        peer = find_peers()[arguments[0]]
        about = run_one.probe(peer)
        print(json.dumps(about), file=answers, flush=True)
        if "missing" in about:
            return 0
        stay = Stay(peer.load(), peer)
        for line in sys.stdin:
            answer = stay.answer(json.loads(line))
            rest()
            print(json.dumps(answer | {"memory": machine.peak_memory()}), file=answers, flush=True)
    return 0
