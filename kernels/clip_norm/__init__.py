"""Clipping: a vector is scaled down to a norm that is its largest.

Maths:    n = √(Σ_i x_i²);  y_i = x_i min(1, bound / n)
Shapes:   x, y (n,): usually the gradient of the whole network as one flat buffer.
Units:    none.
Traffic:  reads x twice, writes y: 3 numbers an element; the sum must be known before the first is scaled.
Errors:   none; a NaN in x makes all of y NaN; an Inf becomes NaN, and all other numbers 0.
Accuracy: the norm to a few roundings in the dtype of x, or better; one rounding for the product. x comes out as it is,
          bit for bit, where its norm is within the bound.
Source:   R. Pascanu, T. Mikolov, Y. Bengio, ICML 2013.
"""
