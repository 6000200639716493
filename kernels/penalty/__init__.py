"""Weight penalties added to the loss: l1 on absolute values, l2 on squares.

Maths:    penalty = Σ l1 |w| + l2 w²; gradient += l1 sign(w) + 2 l2 w, sign(0) = 0
Shapes:   w, gradient, l1, l2 (n,): the factors are per element, as all parameters lie in one flat buffer.
Units:    l1, l2 ≥ 0.
Traffic:  reads w, l1 and l2, reads and writes the gradient.
Errors:   none.
Accuracy: the penalty is summed in float64.
Source:   A. E. Hoerl, R. W. Kennard, Technometrics 12, 1970; R. Tibshirani, J. Royal Statistical Society B 58, 1996.
"""
