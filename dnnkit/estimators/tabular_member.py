"""A member of the preset "tabular": its network, held-out rows and training, alone or together with others."""

from collections.abc import Sequence
from functools import cached_property
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.estimators.aims import Aim, targets_of
from dnnkit.estimators.budget import Clock
from dnnkit.estimators.data import Curve, EncodedData, Part
from dnnkit.estimators.embedding import inputs_of
from dnnkit.estimators.members import predict
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.sparse import fit
from dnnkit.estimators.tabular_network import metric_of, network_of, tabular_optimizer
from dnnkit.estimators.watching import INTERRUPTED, BestEpoch, Deadline, ProgressLines
from dnnkit.many.callbacks import ManyCallback
from dnnkit.many.fitting import fit_many
from dnnkit.many.history import ManyHistory
from dnnkit.network.whole import WholeNetwork
from dnnkit.optimizers import Optimizer


@dataclass(frozen=True)
class Trained:
    """A trained member, and its predictions on held-out rows."""

    net: WholeNetwork
    curve: Curve
    held_out: Part | None
    said: NDArray[Any] | None


@dataclass(frozen=True)
class Member:
    """A member to be trained.

    Attributes:
        split: indices of its held-out rows; None for none.
        epochs: as in `train_members`.
        stop: event that ends training after the current epoch.
        before: the member to continue from, and its curve so far.
        print_line: accepts lines of text, or None.
    """

    data: EncodedData
    settings: Settings
    aim: Aim
    seed: int
    split: NDArray[np.intp] | None
    epochs: int | None
    stop: Event
    before: tuple[WholeNetwork, Curve] | None
    print_line: ProgressLines | None

    @cached_property
    def rows(self) -> NDArray[np.intp] | None:
        """Indices of the rows that it learns from; None for all."""
        if self.split is None:
            return None
        kept = np.ones(self.data.train.rows, bool)
        kept[self.split] = False
        return np.flatnonzero(kept)

    @property
    def held_out(self) -> Part | None:
        """The rows that it is validated on, or None."""
        return self.data.validation if self.split is None else self.data.train.only(self.split)

    @property
    def most_epochs(self) -> int:
        """Maximum number of epochs."""
        return self.settings.max_iter if self.epochs is None else self.epochs

    @property
    def batch_size(self) -> int | None:
        """Rows per batch; None for a single batch of all rows."""
        full_batch = self.settings.solver == "lbfgs" or getattr(self.settings.solver, "full_batch", False)
        return None if full_batch else self.settings.batch_size

    @cached_property
    def metric(self) -> str | None:
        """The metric on held-out rows, or None."""
        return None if self.data.validation is None and self.split is None else metric_of(self.aim, self.data)

    @cached_property
    def steps(self) -> int:
        """Steps of the whole training."""
        rows = self.data.train.rows if self.rows is None else len(self.rows)
        return self.most_epochs * -(-rows // min(self.batch_size or rows, rows))

    @cached_property
    def net(self) -> WholeNetwork:
        """The network, compiled."""
        part = self.data.train if self.rows is None else self.data.train.only(self.rows)
        if self.before is None:
            batch = min(self.batch_size or part.rows, part.rows)
            mean_weight = 1.0 if part.weights is None else float(part.weights.mean())
            penalty = self.settings.alpha / (2 * batch * mean_weight * self.aim.objective)
            net: WholeNetwork = network_of(self.settings, self.data, self.aim, self.seed, 1, penalty)
        else:
            net = self.before[0]
        if self.before is None or self.epochs is None:
            net.compile(
                self._optimizer(self.steps), self.aim.loss, metrics=[] if self.metric is None else [self.metric]
            )
        return net

    @cached_property
    def watch(self) -> BestEpoch:
        """The callback that records its curve and the weights of its best epoch."""
        return BestEpoch(
            Curve() if self.before is None else self.before[1],
            score=self.metric,
            rows=self.data.train.rows if self.rows is None else len(self.rows),
            reported=self.aim.reported,
            patience=self.settings.n_iter_no_change if self.settings.early_stopping else np.inf,
            stop=self.stop,
            print_line=self.print_line,
        )

    def train(self, clock: Clock, deadline: float | None) -> Trained:
        """Train it alone."""
        part = self.data.train if self.rows is None else self.data.train.only(self.rows)
        held_out, watches = self.held_out, list[Any]([self.watch])
        if deadline is not None:
            watches.append(Deadline(deadline, clock, self.steps, self.watch.curve))
        ended = ""
        try:
            history = fit(
                self.net,
                part.x,
                self._targets(part),
                batch_size=self.batch_size,
                epochs=self.most_epochs,
                shuffle=self.settings.shuffle,
                sample_weight=part.weights,
                validation_data=None if held_out is None else self.validation(held_out),
                callbacks=[*watches, *self.settings.callbacks],
                verbose=0,
            )
            ended = history.ended
        except KeyboardInterrupt:
            self.interrupted()
        return self.trained(ended)

    def interrupted(self) -> None:
        """Keep the best weights so far."""
        self.stop.set()
        if self.watch.weights is not None:
            self.net.set_parameters(self.watch.weights)
        self.watch.curve.ended = INTERRUPTED

    def trained(self, ended: str) -> Trained:
        """Return the result; `ended` is the reason why the optimizer stopped, or empty."""
        curve, watch = self.watch.curve, self.watch
        curve.ended = curve.ended or ended
        if self.print_line is not None:
            kept_of = "" if watch.weights is None else f", epoch {watch.best_epoch + 1} is kept"
            self.print_line(f"ended after {curve.epochs} epochs{kept_of}", always=True)
        held_out = self.held_out
        said = None if held_out is None or self.data.task == "regression" else predict(self.net, held_out.x)
        return Trained(self.net, curve, held_out, said)

    def _optimizer(self, steps: int) -> Optimizer:
        settings, made = self.settings, tabular_optimizer(self.settings, self.aim, steps)
        by_name = isinstance(settings.schedule, str) and not isinstance(settings.solver, Optimizer)
        if self.epochs is not None and by_name:  # the number of further calls is unknown
            made.learning_rate = settings.learning_rate_init
        return made

    def _targets(self, part: Part) -> NDArray[Any]:
        return targets_of(self.aim.loss, part, self.data, self.settings.dtype)

    def validation(self, part: Part) -> tuple[Any, ...]:
        """Return validation rows as `fit` takes them."""
        targets = self._targets(part)
        return (part.x, targets) if part.weights is None else (part.x, targets, part.weights)


def can_be_together(members: Sequence[Member]) -> bool:
    """Return whether one call of `fit_many` can train the members together.

    Deadlines and user callbacks need the steps of each fit, and sparse rows, which the first layer scales, become dense
    within each fit. If the backend trains many networks one after the other, fitting in threads is faster.
    """
    first = members[0]
    settings, x = first.settings, first.data.train.x
    if len(members) == 1 or settings.time_budget is not None or settings.callbacks or not isinstance(x, np.ndarray):
        return False
    if not first.net.is_built and not first.net.is_graph:
        first.net.build(x.shape[1], batch_size=min(first.batch_size or len(x), len(x)))
    return first.net.backend.many(1) is not None


def train_together(members: Sequence[Member], workers: int) -> list[Trained]:
    """Train all of them in one call; each learns what it would learn alone, bit for bit."""
    first = members[0]
    part, validation = first.data.train, first.data.validation
    for member in members:
        member.watch.set_model(member.net)
        member.watch.on_train_begin()
    is_split = first.split is not None
    ended = [""] * len(members)
    try:
        many = fit_many(
            [member.net for member in members],
            inputs_of(first.net, part.x),
            targets_of(first.aim.loss, part, first.data, first.settings.dtype),
            sample_weight=part.weights,
            rows=[(member.rows, member.split) for member in members] if is_split else None,
            validation_data=None if validation is None else first.validation(validation),
            batch_size=first.batch_size,
            epochs=first.most_epochs,
            shuffle=first.settings.shuffle,
            callbacks=[_Watches(members)],
            num_workers=workers,
            verbose=0,
        )
        ended = [history.ended for history in many.histories]
        for member in members:
            member.watch.on_train_end()
    except KeyboardInterrupt:
        for member in members:
            member.interrupted()
    begun = [(member, why) for member, why in zip(members, ended, strict=True) if member.watch.curve.losses]
    return [member.trained(why) for member, why in begun]


class _Watches(ManyCallback):
    """Forwards the end of epochs to the callback of each member."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._members = members

    def on_epoch_end(self, epoch: int, many: ManyHistory) -> None:
        for number in many.running:
            member, history = self._members[number], many.histories[number]
            member.watch.on_epoch_end(epoch, {name: values[-1] for name, values in history.history.items()})
            if member.net.stop_training:
                many.stop(number, member.watch.curve.ended or "its watch")
