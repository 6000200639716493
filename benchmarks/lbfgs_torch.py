"""PyTorch's side of `benchmarks/lbfgs.py`: a script for an interpreter with torch, without dnnkit.

`python lbfgs_torch.py PROBLEM.npz ITERATIONS TOLERANCE PAIRS ROUNDS` prints a list of outcomes as JSON.
"""

import json
import sys
import time
from typing import Any

import numpy as np


def run(file: Any, iterations: int, tolerance: float, pairs: int) -> dict[str, Any]:
    """Run one training from the start stored in the file."""
    import torch

    x, y = torch.from_numpy(file["x"]), torch.from_numpy(file["y"])
    arrays = [file[f"parameter_{place}"] for place in range(len(file.files) - 3)]
    parameters = [torch.tensor(array, requires_grad=True) for array in arrays]
    cross_entropy, squared = torch.nn.functional.cross_entropy, torch.nn.functional.mse_loss
    loss_of = cross_entropy if file["classes"] else squared
    optimizer = torch.optim.LBFGS(
        parameters,
        max_iter=iterations,
        max_eval=10**6,
        tolerance_grad=tolerance,
        tolerance_change=0.0,
        history_size=pairs,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Any:
        value = x
        for place in range(0, len(parameters), 2):
            value = torch.addmm(parameters[place + 1], value, parameters[place])
            value = torch.tanh(value) if place + 2 < len(parameters) else value
        return loss_of(value, y)

    def closure() -> Any:
        optimizer.zero_grad()
        found = loss()
        found.backward()
        return found

    start = time.process_time()
    optimizer.step(closure)
    seconds = time.process_time() - start
    state = optimizer.state[parameters[0]]
    with torch.no_grad():
        final = float(loss())
    return {"iterations": state["n_iter"], "evaluations": state["func_evals"], "loss": final, "seconds": seconds}


def main() -> None:
    """Run the command."""
    import torch

    torch.set_num_threads(1)
    place, iterations, tolerance, pairs, rounds = sys.argv[1:]
    with np.load(place) as file:
        outcomes = [run(file, int(iterations), float(tolerance), int(pairs)) for _ in range(int(rounds) + 1)]
    json.dump(outcomes[1:], sys.stdout)


if __name__ == "__main__":
    main()
