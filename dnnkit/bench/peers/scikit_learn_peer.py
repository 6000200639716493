"""scikit-learn's MLPClassifier: one `partial_fit` per epoch, without regularization."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from . import machine
from .works import Network, Work, initial_weights, repeated

PACKAGES = ("scikit-learn", "scipy")
VARIANTS = ("",)


def about(variant: str) -> dict[str, str]:
    return {"setting": "MLPClassifier, partial_fit", "threads": f"those of BLAS, up to {machine.processors()}"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    model = MLPClassifier(
        work.widths[1:-1],
        activation={"relu": "relu", "sigmoid": "logistic"}[work.activation],
        solver=work.optimizer,
        alpha=0.0,
        batch_size=min(work.batch_size, len(x)),
        learning_rate_init=work.learning_rate,
        momentum=0.0,
        epsilon=1e-8,
        random_state=0,
    )
    # The first batch creates the weights and trains on it. They are replaced by the common initial weights, and the
    # optimizer is removed so that a new one is created: it is private, but its step count would slow the first epochs.
    start = min(work.batch_size, len(x))
    model.partial_fit(x[:start], y[:start], classes=np.arange(work.widths[-1]))
    for place, (kernel, bias) in enumerate(initial_weights(work)):
        model.coefs_[place][...] = kernel
        model.intercepts_[place][...] = bias
    del model._optimizer

    def epoch() -> float:
        return float(model.partial_fit(x, y).loss_)

    return Network(repeated(epoch), model.predict_proba)
