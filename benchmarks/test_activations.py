"""A training step of the digits network with each activation, by backend; compiled before it is timed."""

from typing import Any

import numpy as np
import pytest

from dnnkit.backends import available, get_backend
from dnnkit.bench.activations import BATCH, STEPS
from dnnkit.bench.networks import classifier
from dnnkit.bench.selection import Selection, select_activations
from dnnkit.bench.timing import waits_for

BACKENDS = [info.name for info in available() if info.available]


@pytest.mark.parametrize("activation", select_activations(None))
@pytest.mark.parametrize("backend", BACKENDS)
def test_step_with_an_activation(benchmark: Any, backend: str, activation: str) -> None:
    chosen = get_backend(backend)
    trained = classifier(Selection((chosen,), (activation,)), activation, chosen, seed=0)
    epoch, finish = trained.epoch(BATCH, STEPS), waits_for(chosen)

    def run() -> None:
        epoch()
        finish()

    benchmark.group = f"{STEPS} steps of 64-128-10, batch {BATCH}, {backend}"
    run()
    benchmark(run)
    assert np.isfinite(trained.loss)
