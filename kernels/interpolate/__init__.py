"""Linear interpolation between two vectors, used to let a target network follow another.

Maths:    z_i = (1 - s) x_i + s y_i
Shapes:   x, y, z (n,): usually the parameters of a whole network as one flat buffer. z may be x.
Units:    s is a number from 0 to 1.
Traffic:  reads x, y, writes z: 3 numbers per element.
Errors:   none. s = 1 gives y, and s = 0 gives x, bit for bit, if the other vector is finite.
Accuracy: three roundings in the dtype of x; s and 1 - s are rounded to it.
Source:   B. Polyak, A. Juditsky, 1992 (averaging); T. Lillicrap et al., arXiv:1509.02971, section 3 (target networks).
"""
