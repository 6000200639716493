"""Dense layer: matrix product, bias and activation, forward and backward.

Maths:    z = x w + b, y = f(z);  dz = dy f'(z), dx = dz wᵀ, dw = xᵀ dz, db = Σ_i dz_i
Shapes:   x (B, I), w (I, O), b (O,) or None; z, y, dy (B, O); dx (B, I), dw (I, O), db (O,), unused without a bias.
Units:    none.
Traffic:  forward reads x, w, b and writes y (and z where f is of those that save their input); backward reads
          x, w, dy and y or z, writes dx, dw, db. 2 B I O FLOPs forward, twice that backward; once, and no x, for dx
          alone, where w and b are frozen.
Errors:   none.
Accuracy: that of a matrix product accumulated in the dtype.
Source:   D. Rumelhart, G. Hinton, R. Williams, Nature 323, 1986.
"""
