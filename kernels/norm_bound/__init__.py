"""Norm bound: parameter constraints, enforced after each update.

Maths:    for the weights into each unit, a column w with norm n: w ← w d / n with d = n + rate (clip(n, least, most) -
          n), if n is out of bounds and not 0; for the nonnegative constraint, w ← max(w, 0)
Shapes:   w (I, O), one column per unit; a parameter with one axis is a single column.
Units:    0 ≤ least ≤ most, rate in [0, 1].
Traffic:  reads w twice, writes what changes.
Errors:   none.
Accuracy: columns within their bounds are unchanged, bit for bit.
Source:   N. Srebro, J. Rennie, T. Jaakkola, NeurIPS 2004; as Keras' constraints.
"""
