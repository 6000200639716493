"""PyTorch's side of `benchmarks.layers`: reads a network's name per line, and writes its seconds per step."""

import json
import sys
import time

import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)
torch._dynamo.config.recompile_limit = 100  # all networks share the code of one function
SIZES, COMPILED = json.loads(sys.argv[1]), sys.argv[2].endswith("compiled")
BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH, UNITS = SIZES.values()
rng = np.random.default_rng(0)
classes = torch.tensor(rng.integers(0, CLASSES, (BATCH * STEPS, COLUMNS)))
x = torch.tensor(rng.normal(size=(BATCH * STEPS, FEATURES)), dtype=torch.float32)
y = torch.tensor(rng.normal(size=(BATCH * STEPS, 1)), dtype=torch.float32)


class Noise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x)


class Scale(nn.Module):
    def __init__(self, count):
        super().__init__()
        self.factors = nn.Parameter(torch.ones(count))

    def forward(self, x):
        return x * self.factors


class Periodic(nn.Module):
    def __init__(self, features, frequencies, units):
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(features, frequencies) * 0.1)
        self.kernel = nn.Parameter(torch.randn(features, 2 * frequencies, units) * 0.1)
        self.bias = nn.Parameter(torch.zeros(features, units))

    def forward(self, x):
        angle = 2 * torch.pi * self.frequencies * x[..., None]
        waves = torch.cat([torch.sin(angle), torch.cos(angle)], -1)
        return torch.relu(torch.einsum("bfk,fku->bfu", waves, self.kernel) + self.bias)


class OneHot(nn.Module):
    def forward(self, x):
        return nn.functional.one_hot(x % 100, 100).flatten(1).float()


class Halves(nn.Module):
    def __init__(self, merge):
        super().__init__()
        self.left, self.right, self.merge = nn.Linear(FEATURES, UNITS), nn.Linear(FEATURES, UNITS), merge

    def forward(self, x):
        return self.merge(self.left(x), self.right(x))


def end(inputs):
    return [nn.Linear(inputs, UNITS), nn.ReLU(), nn.Linear(UNITS, 1)]


def normalized(norm, bias=True):
    return [nn.Linear(FEATURES, UNITS, bias=bias), norm, nn.ReLU(), nn.Linear(UNITS, 1)]


MADE = {
    "Dense alone": lambda: end(FEATURES),
    "BatchNormalization": lambda: normalized(nn.BatchNorm1d(UNITS), bias=False),
    "LayerNormalization": lambda: normalized(nn.LayerNorm(UNITS)),
    "RMSNormalization": lambda: normalized(nn.RMSNorm(UNITS)),
    "PReLU": lambda: [nn.Linear(FEATURES, UNITS), nn.PReLU(UNITS), nn.Linear(UNITS, 1)],
    "Scale": lambda: [Scale(FEATURES), *end(FEATURES)],
    "GaussianNoise": lambda: [Noise(), *end(FEATURES)],
    "PeriodicEmbedding": lambda: [Periodic(FEATURES, 8, 16), nn.Flatten(), *end(FEATURES * 16)],
    "Add": lambda: [Halves(torch.add), *end(UNITS)],
    "Multiply": lambda: [Halves(torch.mul), *end(UNITS)],
    "Concatenate": lambda: [Halves(lambda a, b: torch.cat([a, b], 1)), *end(2 * UNITS)],
    "Embedding": lambda: [nn.Embedding(CLASSES, WIDTH), nn.Flatten(), *end(COLUMNS * WIDTH)],
    "OneHot, 100 classes": lambda: [OneHot(), *end(100 * COLUMNS)],
}
ready = {}


def make(name):
    net = nn.Sequential(*MADE[name]())
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)

    def loss_of(a, b):
        return ((net(a) - b) ** 2).mean()

    return (torch.compile(loss_of) if COMPILED else loss_of), optimizer


for line in sys.stdin:
    name = line.strip()
    if name not in MADE:
        print("null", flush=True)
        continue
    if name not in ready:
        ready[name] = make(name)
    loss_of, optimizer = ready[name]
    given = classes if name in ("Embedding", "OneHot, 100 classes") else x
    start = time.perf_counter()
    for place in range(0, BATCH * STEPS, BATCH):
        optimizer.zero_grad(set_to_none=True)
        loss_of(given[place : place + BATCH], y[place : place + BATCH]).backward()
        optimizer.step()
    print(json.dumps((time.perf_counter() - start) / STEPS), flush=True)
