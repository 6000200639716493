"""Every kind of thing that is chosen by its name, at hand for `dk.register`: these modules have the registries."""

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
