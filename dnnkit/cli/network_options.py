"""Options of networks that several commands share, as Typer annotations."""

from typing import Annotated

import typer

from dnnkit.cli import completion

Optimizer = Annotated[
    str,
    typer.Option(help="Optimizer: sgd, rmsprop, adam, adamw, ...", autocompletion=completion.optimizers),
]
LearningRate = Annotated[float | None, typer.Option(help="Learning rate.", show_default="the optimizer's default")]
BatchSize = Annotated[int | None, typer.Option(help="Samples per update.", show_default="32, or all for lbfgs")]
