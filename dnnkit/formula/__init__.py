"""An activation or a loss from one formula: `dk.activation("swish", "x / (1 + exp(-beta * x))", beta=2)`.

    grammar     the text becomes a tree: mathematics, never Python
    symbols     the tree becomes SymPy's expression, and SymPy differentiates it
    ratio, stable       both are written so that exponentials neither overflow nor cancel
    statements, printing      as code for array namespaces, Numba and CUDA
    checking    against finite differences, and where it overflows
    definition, losses      what users hold: a name, a formula, parameters
    loss_derivation, loss_printing      a loss: two variables, and passes over the rows of a batch
    write_losses    the built-in losses that have a formula, written once

SymPy is imported when the first formula is defined.
"""

from dnnkit.formula.definition import Formula, activation, activation_from_text
from dnnkit.formula.losses import FormulaLoss, loss

__all__ = ["Formula", "FormulaLoss", "activation", "activation_from_text", "loss"]
