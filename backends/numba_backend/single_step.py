"""Steps run one by one: with a callback on each, or in a user's training loop.

A step of usual size evicts Python from the caches, so work between two steps takes twice as long as in a tight loop,
nearly in proportion to its bytecode. Whatever is the same for all steps is therefore looked up once.
"""

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.crew import CREW
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import Hyperparameters
from dnnkit.kernels._engine.structures import ENDED, LIMIT, STOP


class SingleStep:
    """Continues after a team was prepared for a single step, while the next step differs only in its rows and rate.

    Arguments:
        team: the team, as prepared for that step.
        hyperparameters: those it was prepared with; None if nothing is updated.
        numbers: the numbers it reads or changes.
    """

    def __init__(self, team: WorkerTeam, hyperparameters: Hyperparameters | None, numbers: Weights) -> None:
        self._team, self._prepared = team, team.prepared
        self._hyperparameters, self._numbers = hyperparameters, numbers
        self._structure, self._workers = team.run_structure, team.workers
        self._is_scheduled = team.program.has_scheduled_dropout
        self._signals, self._turns = team.signals, team.turns
        self._run = CREW.caller(team.run_address, team.program.dtype, team.helpers)

    def accepts(self, hyperparameters: Hyperparameters | None, numbers: Weights | None) -> bool:
        """Accept these for the next step; return False, without effect, if more than rows and rate differ."""
        if numbers is not self._numbers or self._team.prepared is not self._prepared or self._is_scheduled:
            return False
        return hyperparameters is self._hyperparameters or self._takes_rate(hyperparameters)

    def _takes_rate(self, hyperparameters: Hyperparameters | None) -> bool:
        before = self._hyperparameters
        if before is None or hyperparameters is None or hyperparameters.constants is not before.constants:
            return False
        if hyperparameters.clip_norm != before.clip_norm or not (hyperparameters.is_plain and before.is_plain):
            return False
        if (hyperparameters.clip_each, hyperparameters.clip_value) != (before.clip_each, before.clip_value):
            return False
        self._hyperparameters = hyperparameters  # keeps the array alive
        self._structure.rates = address(hyperparameters.learning_rates)
        return True

    def run(self, step: int, update: int) -> None:
        """Run this step, before which `update` updates were made."""
        structure, signals = self._structure, self._signals
        structure.first_step, structure.first_update = step, update
        for worker in self._workers:
            worker.place, worker.step, worker.nan_step = 0, step, -1
        signals[LIMIT], signals[ENDED] = step + 1, -1
        self._turns.fill(0)
        try:
            self._run()
        finally:
            signals[STOP] = 0
