"""The preset "plain": the networks of "mlp" on standardized targets, trained for a fixed number of epochs.

`dnnkit sweep` compares such networks on tables, and trains the best of them again.
"""

from collections.abc import Sequence

from dnnkit.errors import ConfigurationError
from dnnkit.estimators.aims import SCORES, aim_of, targets_of
from dnnkit.estimators.data import Curve, EncodedData, Progress
from dnnkit.estimators.members import Members
from dnnkit.estimators.mlp import MLP, network_of
from dnnkit.estimators.presets import Preset
from dnnkit.estimators.settings import Settings
from dnnkit.estimators.solvers import optimizer_of
from dnnkit.estimators.sparse import fit
from dnnkit.network.whole import WholeNetwork


def compiled(
    settings: Settings, data: EncodedData, seed: int, *, name: str | None = None, threads: int | None = None
) -> WholeNetwork:
    """Return a new network, compiled with the score of the task as its metric.

    Arguments:
        settings: settings of the estimator.
        data: the encoded data.
        seed: seed of the weights and the order of rows.
        name: name of the network.
        threads: maximum number of threads; None for the backend's choice.
    """
    aim, part = aim_of(settings, data), data.train
    full_batch = settings.solver == "lbfgs" or getattr(settings.solver, "full_batch", False)
    batch = part.rows if full_batch else min(settings.batch_size, part.rows)
    mean_weight = 1.0 if part.weights is None else float(part.weights.mean())
    penalty = settings.alpha / (2 * batch * mean_weight * aim.objective)
    net = network_of(settings, data, aim, seed, threads, penalty, name=name)
    net.compile(
        optimizer_of(settings, aim, settings.max_iter * -(-part.rows // batch)), aim.loss, metrics=[SCORES[data.task]]
    )
    return net


def train(
    data: EncodedData,
    settings: Settings,
    *,
    seeds: Sequence[int],
    progress: Progress | None = None,
    start: Members | None = None,
    epochs: int | None = None,
) -> Members:
    """Train members one after the other; see `train_members`."""
    for name in ("early_stopping", "calibration", "time_budget"):
        if value := getattr(settings, name):
            raise ConfigurationError(
                f"{name} is {value!r}, but the preset 'plain' trains for max_iter epochs: leave it out, or use the "
                "preset 'tabular'"
            )
    targets = targets_of(aim_of(settings, data).loss, data.train, data, settings.dtype)
    networks, curves = [], []
    for number, seed in enumerate(seeds):
        if start is None:
            net, curve = compiled(settings, data, seed), Curve()
        else:
            net, curve = start.networks[number], start.curves[number]
        history = fit(
            net,
            data.train.x,
            targets,
            validation_data=None,
            batch_size=None if net.optimizer.full_batch else settings.batch_size,
            epochs=epochs or settings.max_iter,
            shuffle=settings.shuffle,
            sample_weight=data.train.weights,
            callbacks=list(settings.callbacks),
            verbose=0,
        )
        curve.losses += history["loss"]
        curve.epochs = len(history.epoch)
        curve.rows_seen += curve.epochs * data.train.rows
        curve.ended = f"{curve.epochs} epochs"
        if progress is not None:
            progress(f"network {number + 1} of {len(seeds)}: {curve.ended}, loss {history['loss'][-1]:.4f}")
        networks.append(net)
        curves.append(curve)
    return Members(networks, curves, data.task)


PLAIN = Preset(
    name="plain",
    train=train,
    values={**MLP.values, "alpha": 0.0, "batch_size": 32, "max_iter": 60, "encoder": "tabular"},
    scales_targets=True,
)
