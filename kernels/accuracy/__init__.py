"""Accuracy: the weighted number of rows that are predicted right.

Maths:    categorical: Σ_i w_i [argmax_k z_ik = label_i], the first maximum where several are equal;
          binary: Σ_i w_i 1/K Σ_k [(z_ik > threshold) = (t_ik > ½)]
Shapes:   scores z (B, K); targets: labels (B,) or rows (B, K); weights w (B,) or None for all ones.
Units:    rows; divide by Σ w for the share.
Traffic:  reads z, targets, w.
Errors:   none. A logit stands for a probability: argmax does not change, the threshold ½ becomes 0.
Accuracy: exact up to the sum of the weights, in float64.
Source:   -
"""
