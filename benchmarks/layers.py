"""A training step with each kind of layer, beside PyTorch's in the interpreter that is named.

    python -m benchmarks.layers [--peer PYTHON] [--rounds 5]

Microseconds per step, float32, Adam, batches of 256, one thread; the fastest of the rounds, in which all take turns.
"""

import argparse
import json
import subprocess
import sys
from time import perf_counter

import numpy as np

BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH = 256, 40, 32, 8, 10_000, 16

PEER = """
import json, sys, time
import numpy as np, torch
torch.set_num_threads(1)
BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH = json.loads(sys.argv[1])
rng = np.random.default_rng(0)
x = torch.tensor(rng.normal(size=(BATCH * STEPS, FEATURES)), dtype=torch.float32)
c = torch.tensor(rng.integers(0, CLASSES, (BATCH * STEPS, COLUMNS)))
y = torch.tensor(rng.normal(size=(BATCH * STEPS, 1)), dtype=torch.float32)
nn = torch.nn
class Noise(nn.Module):
    def forward(self, x): return x + 0.1 * torch.randn_like(x)
class Scale(nn.Module):
    def __init__(self, n): super().__init__(); self.s = nn.Parameter(torch.ones(n))
    def forward(self, x): return x * self.s
made = {
    "Dense alone": lambda: [nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 1)],
    "BatchNormalization": lambda: [
        nn.Linear(FEATURES, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 1)],
    "LayerNormalization": lambda: [nn.Linear(FEATURES, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 1)],
    "PReLU": lambda: [nn.Linear(FEATURES, 64), nn.PReLU(64), nn.Linear(64, 1)],
    "Scale": lambda: [Scale(FEATURES), nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 1)],
    "GaussianNoise": lambda: [Noise(), nn.Linear(FEATURES, 64), nn.ReLU(), nn.Linear(64, 1)],
    "Embedding": lambda: [
        nn.Embedding(CLASSES, WIDTH), nn.Flatten(), nn.Linear(COLUMNS * WIDTH, 64), nn.ReLU(), nn.Linear(64, 1)],
}
compiled, ready = sys.argv[2] == "compiled", {}
def step(net, optimizer, a, b):
    optimizer.zero_grad(set_to_none=True)
    loss = ((net(a) - b) ** 2).mean()
    loss.backward()
    optimizer.step()
for line in sys.stdin:
    name = line.strip()
    if name not in ready:
        net = nn.Sequential(*made[name]())
        optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
        ready[name] = (torch.compile(net) if compiled else net), optimizer
    net, optimizer = ready[name]
    data = c if name == "Embedding" else x
    for _ in range(2):
        start = time.perf_counter()
        for s in range(STEPS):
            step(net, optimizer, data[s * BATCH:(s + 1) * BATCH], y[s * BATCH:(s + 1) * BATCH])
        seconds = time.perf_counter() - start
    print(json.dumps(seconds / STEPS * 1e6), flush=True)
"""


def networks() -> dict:
    import dnnkit as dk

    dense = [dk.Dense(64, "relu"), dk.Dense(1)]
    return {
        "Dense alone": dense,
        "BatchNormalization": [dk.Dense(64, use_bias=False), dk.BatchNormalization(), dk.ReLU(), dk.Dense(1)],
        "LayerNormalization": [dk.Dense(64), dk.LayerNormalization(), dk.ReLU(), dk.Dense(1)],
        "PReLU": [dk.Dense(64), dk.PReLU(), dk.Dense(1)],
        "Scale": [dk.Scale(), *dense],
        "GaussianNoise": [dk.GaussianNoise(0.1), *dense],
        "Embedding": [dk.Embedding(CLASSES, WIDTH), dk.Flatten(), *dense],
        "OneHot, 100 classes": [dk.OneHot(100), *dense],
        "PeriodicEmbedding": [dk.PeriodicEmbedding(8, 16), dk.Flatten(), *dense],
        "penalties": [dk.Dense(64, "relu", kernel_regularizer="l2"), dk.Dense(1)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peer", help="a Python with PyTorch", default="")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import dnnkit as dk

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(BATCH * STEPS, FEATURES)).astype("float32"), rng.normal(size=(BATCH * STEPS, 1))
    classes = rng.integers(0, CLASSES, (BATCH * STEPS, COLUMNS))
    nets = {}
    for name, layers in networks().items():
        net = dk.Sequential(layers, seed=0, backend="numba", num_threads=1)
        net.compile(dk.Adam(1e-3), "mean_squared_error")
        nets[name] = net, {"Embedding": classes, "OneHot, 100 classes": classes % 100}.get(name, x)
    sizes = json.dumps([BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH])
    kinds = ["eager", "compiled"] if options.peer else []
    peers = {
        kind: subprocess.Popen(
            [options.peer, "-c", PEER, sizes, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for kind in kinds
    }
    best: dict[tuple[str, str], float] = {}
    for _ in range(options.rounds):
        for name, (net, data) in nets.items():
            net.fit(data, y, batch_size=BATCH, verbose=0)
            loaded, rates = net.executable.load(data.astype("float32"), y, None), net.optimizer
            net.executable.begin_epoch(loaded, np.arange(len(data)), BATCH)
            start = perf_counter()
            net.executable.run_steps(0, STEPS, rates.hyperparameters(net.executable.state.step, STEPS))
            seconds = perf_counter() - start
            best[name, "dnnkit"] = min(best.get((name, "dnnkit"), np.inf), seconds / STEPS * 1e6)
            for kind, peer in peers.items():
                if f'"{name}":' in PEER:
                    assert peer.stdin is not None
                    assert peer.stdout is not None
                    peer.stdin.write(f"{name}\n")
                    peer.stdin.flush()
                    found = json.loads(peer.stdout.readline())
                    best[name, kind] = min(best.get((name, kind), np.inf), found)
    print("| layer | dnnkit | " + " | ".join(f"PyTorch {kind}" for kind in kinds) + " |")
    print("| --- |" + " ---: |" * (1 + len(kinds)))
    for name in nets:
        cells = [f"{best[name, who]:.0f}" if (name, who) in best else "" for who in ("dnnkit", *kinds)]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for peer in peers.values():
        peer.terminate()


if __name__ == "__main__":
    sys.exit(main())
