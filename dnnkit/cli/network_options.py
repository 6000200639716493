"""Options of networks that several commands have, as typer takes them."""

from typing import Annotated

import typer

from dnnkit.cli import completion

Optimizer = Annotated[
    str,
    typer.Option(help="Optimizer, by name: sgd, rmsprop, adam, adamw, ...", autocompletion=completion.optimizers),
]
LearningRate = Annotated[float | None, typer.Option(help="Step of the optimizer.", show_default="the optimizer's own")]
BatchSize = Annotated[
    int | None, typer.Option(help="Samples between two updates.", show_default="32, or all for lbfgs")
]
