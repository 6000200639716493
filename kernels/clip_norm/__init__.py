"""Clipping: a vector is scaled down to a norm that is its largest, or its elements to a value that is theirs.

Maths:    clip_norm   n = √(Σ_i x_i²);  y_i = x_i min(1, bound / n)
          clip_value  y_i = min(max(x_i, -bound), bound)
Shapes:   x, y (n,): usually the gradient of the whole network as one flat buffer, or of one parameter.
Units:    none.
Traffic:  clip_norm reads x twice, writes y: 3 numbers per element; the sum must be known before the first is scaled;
          clip_value 2.
Errors:   none; clip_norm: a NaN in x makes all of y NaN; an Inf becomes NaN, and all other numbers 0; clip_value: a
          NaN stays one, an Inf becomes the bound.
Accuracy: clip_norm: the norm to a few roundings in the dtype of x, or better; one rounding for the product. x comes
          out as it is, bit for bit, where its norm is within the bound. clip_value is exact, of the bound in the dtype
          of x.
Source:   R. Pascanu, T. Mikolov, Y. Bengio, ICML 2013.
"""
