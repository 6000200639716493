"""Dense layer: matrix product, bias and activation, forward and backward.

Maths:    z = x w + b, y = f(z);  dz = dy f'(z), dx = dz wᵀ, dw = xᵀ dz, db = Σ_i dz_i
Shapes:   x (B, I), w (I, O), b (O,) or None; z, y, dy (B, O); dx (B, I), dw (I, O), db (O,), unused without a bias.
Units:    none.
Traffic:  forward reads x, w, b and writes y (and z if the activation f saves its input); backward reads
          x, w, dy and y or z, and writes dx, dw, db. 2 B I O FLOPs forward, 4 B I O backward; 2 B I O, without
          reading x, if w and b are frozen and only dx is needed.
Errors:   none.
Accuracy: that of a matrix product accumulated in the dtype.
Source:   D. Rumelhart, G. Hinton, R. Williams, Nature 323, 1986.
"""
