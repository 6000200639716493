"""Gamma deviance: for positive targets whose spread grows with their size, such as costs and durations.

Maths:    l_i = 1/K Σ_k 2 (r - 1 - log r), r = t_ik / (y_ik + ε), ε = 1e-7;
          gradient = scale w_i 2/K (y_ik + ε - t_ik) / (y_ik + ε)²
Shapes:   predictions y (B, K), targets t (B, K), weights w (B,) or None for all ones; the gradient has the shape of y.
          All in the dtype of y.
Units:    none: only the ratio of t and y matters.
Traffic:  reads y, t, w; writes the gradient: 3 B K + B numbers.
Errors:   a prediction below 0 gives NaN. Targets must be above 0; the caller checks.
Accuracy: a few ulp of the ratio r; near r = 1, where (r - 1)² is smaller than that, the loss is
          lost in rounding.
Source:   P. McCullagh, J. A. Nelder, Generalized Linear Models, 1989, as in scikit-learn's mean_gamma_deviance;
          ε keeps y = 0 finite.
"""

FORMULA = "2 * (t / (y + 1e-7) - 1 - log(t / (y + 1e-7)))"
REDUCTION = "mean"
SCORES = "not negative"
OUTPUTS = "values"
TAKES_LABELS = False
TARGET_RANGE = "positive"
