"""Inner product of predictions and targets: a loss whose gradient with respect to the predictions is the targets.

A training step with this loss and dL/dy as targets is therefore a step with a gradient dL/dy that was computed
elsewhere.

Maths:    l_i = Σ_k t_ik y_ik;  loss sum = Σ_i w_i l_i;  gradient = scale w_i t_ik
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    the loss has the unit of the predictions times that of the targets.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a row's sum in the dtype of y, the sum over rows in float64; one rounding each for scale and w in the
          gradient.
Source:   D. Rumelhart, G. Hinton, R. Williams, Nature 323, 1986: back-propagation from dE/dy.
"""

OVER_OUTPUTS = "sum"
REDUCTION = "sum"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
