"""Log-cosh loss: quadratic near the target, the distance minus log 2 far from it.

Maths:    l_i = 1/K Σ_k log cosh(d), d = y_ik - t_ik, computed as |d| + log(1 + exp(-2 |d|)) - log 2;
          gradient = scale w_i 1/K tanh(d)
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    targets are dimensionless.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   none.
Accuracy: a few ulp of 1: near the target, where d² is smaller than that, the loss is lost in rounding;
          the gradient is not. Finite for any finite y and t.
Source:   R. Neuneier, H. G. Zimmermann, 1998; the stable form as in Keras.
"""

FORMULA = "abs(y - t) + softplus(-2 * abs(y - t)) - log(2)"
REDUCTION = "mean"
SCORES = "values"
OUTPUTS = "values"
TAKES_LABELS = False
