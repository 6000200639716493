"""Top-k accuracy: whether the class of a row is among its k largest scores.

Maths:    m_i = [#{j: z_ij comes before z_i,label} < k], larger scores first, equal ones in order of j
Shapes:   scores z (B, C); targets: labels (B,) or rows (B, C), whose largest entry is the label; m (B,).
Units:    rows.
Traffic:  reads z and targets.
Errors:   none. k is the threshold. With k = 1 this is categorical accuracy, NaN and ties included.
Accuracy: exact; the weighted sum over rows is in float64.
Source:   -
"""
