"""Norm bound: parameters are held to what a constraint says, after each update.

Maths:    of the weights that come to each unit, a column with the norm n: w ← w d / n with d = n + rate (clip(n, least,
          most) - n), where n is outside and not 0; or, not negative, w ← max(w, 0)
Shapes:   w (I, O), one unit a column; a parameter of one axis is a single column.
Units:    0 ≤ least ≤ most, rate in [0, 1].
Traffic:  reads w twice, writes what changes.
Errors:   none.
Accuracy: what is within its bounds stays as it is, bit for bit.
Source:   N. Srebro, J. Rennie, T. Jaakkola, NeurIPS 2004; as Keras' constraints.
"""
