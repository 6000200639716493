"""Programs of dense classifiers, for comparing backends."""

from typing import Any

from dnnkit.backends.program import Program
from dnnkit.layers import Dense, Layer
from dnnkit.losses import SparseCategoricalCrossentropy
from dnnkit.network.lowering import lower
from dnnkit.optimizers import Adam


def program_of(layers: list[Layer], features: int, dtype: Any = "float32") -> Program:
    """Return the program, trained by Adam, with a softmax on logits."""
    loss = SparseCategoricalCrossentropy(from_logits=True)
    return lower(
        tuple(layers),
        (features,),
        loss=loss,
        metrics=("accuracy",),
        optimizer=Adam(),
        dtype=dtype,
        seed=0,
        num_threads=None,
    )


def classifier(*widths: int, dtype: Any = "float32") -> Program:
    """Widths from the features to the classes; hidden layers have ReLU."""
    return program_of(
        [*(Dense(width, activation="relu") for width in widths[1:-1]), Dense(widths[-1])], widths[0], dtype
    )


WIDE = classifier(784, 4096, 4096, 10)
"""In batches of 512 a step takes a processor at least a tenth of a second."""
