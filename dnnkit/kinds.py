"""All modules with registries, imported so that `dk.register` knows every kind of registered object."""

from dnnkit import (  # noqa: F401
    activations,
    backends,
    callbacks,
    constraints,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
    schedules,
)
from dnnkit.distributed import communicator  # noqa: F401
from dnnkit.estimators import encoders, presets, saving  # noqa: F401
from dnnkit.many import executors  # noqa: F401
from dnnkit.registry import register as register
from dnnkit.saves import layouts  # noqa: F401
from dnnkit.streams import formats  # noqa: F401
