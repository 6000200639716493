"""Interpolation between two vectors: how a target network follows another, parameter by parameter.

Maths:    z_i = (1 - s) x_i + s y_i
Shapes:   x, y, z (n,): usually the parameters of a whole network as one flat buffer. z may be x.
Units:    share s a number from 0 to 1.
Traffic:  reads x, y, writes z: 3 numbers per element.
Errors:   none; s = 1 gives y, and s = 0 gives x, bit for bit where the other is finite.
Accuracy: three roundings in the dtype of x, s and 1 - s rounded to it.
Source:   B. Polyak, A. Juditsky, 1992 (averaging); T. Lillicrap et al., arXiv:1509.02971, section 3 (target networks).
"""
