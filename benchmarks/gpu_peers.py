"""Training on a GPU compared with the CPU and other libraries: `python -m benchmarks.gpu_peers --out FILE`.

Each peer has a persistent process; each network is trained by all of them in turn, in rounds. The JSON is written
after each network. Peers that fail are skipped, with their last output.
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from dnnkit.bench.peers import machine
from dnnkit.bench.peers.children import Child, ChildFailed
from dnnkit.bench.peers.registry import choose_peers
from dnnkit.bench.peers.works import Work, product_flops

PEERS = "dnnkit-cupy,dnnkit,jax-gpu,torch-cuda"
SLOW = {"torch-cuda": 2}
"""Number of networks for peers whose steps take a millisecond for any network."""


def _work(widths: tuple[int, ...], batch: int, steps: int) -> Work:
    name = f"{'-'.join(map(str, widths))}, batch {batch}"
    return Work(name, name, widths=widths, batch_size=batch, samples=batch * steps, counted=20)


WORKS = (
    _work((784, 128, 10), 32, 1875),
    _work((784, 512, 512, 10), 128, 400),
    _work((20, 64, 64, 64, 10), 32, 1000),
    _work((784, 128, 10), 1, 2000),
    _work((784, 2048, 2048, 10), 512, 100),
    _work((4096, 4096, 4096, 4096, 10), 1024, 8),
)
"""ReLU, Adam, float32; full batches only, so that JAX compiles a single shape."""


def main() -> int:
    """Return exit status 1 if dnnkit's GPU was not measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_peers", description="Time training on a GPU, and compare."
    )
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--peers", default=PEERS, help=f"comma-separated names (default {PEERS})")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--works", type=int, default=len(WORKS), help="number of networks")
    parser.add_argument("--limit", type=float, default=60, help="timeout per answer in seconds")
    options = parser.parse_args()
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # JAX would reserve most of the memory
    run = Run(options)
    for place, work in enumerate(WORKS[: options.works]):
        run.measure(work, [name for name in run.children if place < SLOW.get(name, len(WORKS))], options.rounds)
    run.end()
    return int(not any("dnnkit-cupy" in each["peers"] for each in run.found["networks"]))


class Run:
    """The children and their measurements."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._out = options.out
        self.found: dict[str, Any] = {"machine": machine.describe(), "peers": {}, "left_out": {}, "networks": []}
        self._begun = {peer.name: Child(peer, options.limit) for peer in choose_peers(options.peers)}
        self.children = {name: child for name, child in self._begun.items() if self._is_there(name, child)}
        self._write()

    def _is_there(self, name: str, child: Child) -> bool:
        about = self._ask(name, child.begin)
        if about is not None and "missing" in about:
            self.found["left_out"][name] = f"{about['missing']} is not installed"
        elif about is not None:
            self.found["peers"][name] = about
        return name in self.found["peers"]

    def _ask(self, name: str, ask: Any) -> Any:
        try:
            return ask()
        except ChildFailed as error:
            self.found["left_out"][name] = str(error)
            print(f"  {name} was skipped: {error}", flush=True)
            return None

    def measure(self, work: Work, names: list[str], rounds: int) -> None:
        """Measure one network: all peers compile it at the same time, then each trains it in each round."""
        print(work.name, flush=True)
        begin = perf_counter()

        def make(name: str) -> Any:
            return self._ask(name, lambda: self.children[name].ask("network", work=work.to_json()))

        with ThreadPoolExecutor() as pool:
            made = {name: answer for name, answer in zip(names, pool.map(make, names), strict=True) if answer}
        answers: dict[str, list[dict[str, float]]] = {name: [] for name in made}
        for number in range(rounds):
            turn = number % max(1, len(answers))
            for name in [*list(answers)[turn:], *list(answers)[:turn]]:
                answer = self._ask(name, lambda name=name: self.children[name].ask("train"))
                if answer is None:
                    answers.pop(name)
                else:
                    answers[name].append(answer)
        for name in set(names) - set(answers):
            self.children.pop(name).end()
        rows = {name: _row(work, each, made[name]) for name, each in answers.items()}
        for name, row in rows.items():
            print(f"  {name:20s} {row['microseconds_per_step']:10.1f} µs per step, loss {row['loss']:.6f}", flush=True)
        took = round(perf_counter() - begin, 1)
        self.found["networks"].append({"network": work.name, "steps": work.steps, "seconds": took, "peers": rows})
        self._write()

    def _write(self) -> None:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        self._out.write_text(json.dumps(self.found, indent=1) + "\n")

    def end(self) -> None:
        """End all processes."""
        for child in self._begun.values():
            child.end()


def _row(work: Work, answers: list[dict[str, float]], made: dict[str, Any]) -> dict[str, Any]:
    seconds = [answer["seconds"] for answer in answers]
    return {
        "microseconds_per_step": round(1e6 * median(seconds) / work.steps, 2),
        "of_all_rounds": [round(1e6 * value / work.steps, 2) for value in seconds],
        "teraflops_per_second": round(product_flops(work) / median(seconds) / 1e12, 3),
        "processors": round(max(answer["cores"] for answer in answers), 1),
        **{key: made[key] for key in ("loss", "first", "plan")},
    }


if __name__ == "__main__":
    raise SystemExit(main())
