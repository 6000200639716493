"""Training steps by network and backend: seconds for several steps in one call of the executable.

Run `make bench`, or `pytest benchmarks -m ''` with the options of pytest-benchmark.
"""

from typing import Any

import numpy as np
import pytest

from dnnkit.backends import available, get_backend
from dnnkit.bench.peers.works import NETWORKS
from dnnkit.bench.steps import make

STEPS = 100
NAMES = [
    pytest.param(name, marks=pytest.mark.slow if len(recipe.widths) > 3 else ()) for name, recipe in NETWORKS.items()
]


@pytest.mark.parametrize("backend", [info.name for info in available() if info.available])
@pytest.mark.parametrize("name", NAMES)
def test_training_steps(benchmark: Any, name: str, backend: str) -> None:
    recipe = NETWORKS[name]
    trainable = make(recipe, get_backend(backend), STEPS)
    run_steps = trainable.epoch(recipe.batch_size, STEPS)
    plan = trainable.net.executable.plan.execution

    benchmark.group = name
    benchmark.extra_info |= {"version": get_backend(backend).version, "steps": STEPS, "plan": plan}
    benchmark.pedantic(run_steps, rounds=10, warmup_rounds=1)
    assert np.isfinite(trainable.loss)
