"""Activations and losses from formulas: `dk.activation("swish", "x / (1 + exp(-beta * x))", beta=2)`.

    grammar     parses the text to a tree: mathematics only, never Python
    symbols     translates the tree to a SymPy expression, which SymPy differentiates
    ratio, stable       rewrite both so that exponentials neither overflow nor cancel
    statements, printing      generate code for array namespaces, Numba and CUDA
    checking    compares with finite differences, and finds overflows
    definition, losses      the public objects: name, formula and parameters
    loss_derivation, loss_printing      losses: two variables, and loops over the rows of a batch
    write_losses    generates the files of the built-in losses that have a formula

SymPy is imported when the first formula is defined.
"""

from dnnkit.formula.definition import Formula, activation, activation_from_text
from dnnkit.formula.losses import FormulaLoss, loss

__all__ = ["Formula", "FormulaLoss", "activation", "activation_from_text", "loss"]
