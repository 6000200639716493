"""Gradient clipping: scale a vector down to a maximum norm, or clamp its elements to a maximum magnitude.

Maths:    clip_norm   n = √(Σ_i x_i²);  y_i = x_i min(1, bound / n)
          clip_value  y_i = min(max(x_i, -bound), bound)
Shapes:   x, y (n,): usually the gradient of the whole network as one flat buffer, or of one parameter.
Units:    none.
Traffic:  clip_norm reads x twice and writes y, 3 numbers per element: the sum must be known before the first element is
          scaled. clip_value moves 2 numbers per element.
Errors:   none. clip_norm: a NaN in x makes all of y NaN; an Inf becomes NaN, and all other elements 0. clip_value: NaN
          stays NaN, Inf becomes the bound.
Accuracy: clip_norm: the norm to a few roundings in the dtype of x, or better, and one rounding for the product; if the
          norm is within the bound, y is bitwise identical to x. clip_value is exact, with the bound rounded to the
          dtype of x.
Source:   R. Pascanu, T. Mikolov, Y. Bengio, ICML 2013.
"""
