"""Inner product of predictions and targets: the loss whose gradient in the predictions is what was given as targets.

So a step with a gradient that was computed elsewhere, dL/dy, is a step with this loss and dL/dy as targets.

Maths:    l_i = Σ_k t_ik y_ik;  loss sum = Σ_i w_i l_i;  gradient = scale w_i t_ik
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient is like y.
          All in the dtype of y.
Units:    loss in the unit of the predictions times that of the targets.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64; the gradient to a rounding each for scale and w.
Source:   D. Rumelhart, G. Hinton, R. Williams, Nature 323, 1986: back-propagation from dE/dy.
"""

OVER_OUTPUTS = "sum"
REDUCTION = "sum"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
