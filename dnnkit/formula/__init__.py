"""An activation from one formula: `dk.activation("swish", "x / (1 + exp(-beta * x))", beta=2)`.

    grammar     the text becomes a tree: mathematics, never Python
    symbols     the tree becomes SymPy's expression, and SymPy differentiates it
    ratio, stable       both are written so that exponentials neither overflow nor cancel
    statements, printing      as code for array namespaces, Numba and CUDA
    checking    against finite differences, and where it overflows
    definition  what users hold: a name, a formula, parameters

SymPy is imported when the first formula is defined.
"""

from dnnkit.formula.definition import Formula, activation, activation_from_text

__all__ = ["Formula", "activation", "activation_from_text"]
