"""Steps that are run one by one, because somebody looks at each, or because they are those of a user's own loop.

A step of usual size leaves nothing of Python in the caches: what is done between two steps takes twice as long as in a
loop of small ones, nearly in proportion to its bytecode. So what is the same for all of them is looked up once.
"""

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.crew import CREW
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import Hyperparameters
from dnnkit.kernels._engine.structures import ENDED, LIMIT, STOP


class SingleStep:
    """Goes on where a team was prepared for a single step, as long as the next differs in its rows and rate only.

    Arguments:
        team: as it was prepared for that step.
        hyperparameters: with which it was; None if nothing is updated.
        numbers: that it reads or changes.
    """

    def __init__(self, team: WorkerTeam, hyperparameters: Hyperparameters | None, numbers: Weights) -> None:
        self._team, self._prepared = team, team.prepared
        self._hyperparameters, self._numbers = hyperparameters, numbers
        self._structure, self._workers = team.run_structure, team.workers
        self._is_scheduled = team.program.has_scheduled_dropout
        self._signals, self._turns = team.signals, team.turns
        self._run = CREW.caller(team.run_address, team.program.dtype, team.helpers)

    def goes_on_with(self, hyperparameters: Hyperparameters | None, numbers: Weights | None) -> bool:
        """Take these for the next step; False, and nothing taken, if it differs in more than its rows and rate."""
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
        self._hyperparameters = hyperparameters  # which keeps the array
        self._structure.rates = address(hyperparameters.learning_rates)
        return True

    def run(self, step: int, update: int) -> None:
        """Run that step, before which so many updates were made."""
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
