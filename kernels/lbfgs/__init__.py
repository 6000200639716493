"""L-BFGS: the quasi-Newton direction from recent steps and the gradient changes they caused.

Maths:    d = -H g, with H built from γ 1 by the last m pairs (s, y), each H ← (1 - ρ s yᵀ) H (1 - ρ y sᵀ) + ρ s sᵀ,
          ρ = 1 / sᵀy, γ = sᵀy / yᵀy of the newest pair; the two-loop recursion needs no matrix.
          A step x ← x + a d: a satisfies the strong Wolfe conditions, f(a) ≤ f(0) + c₁ a f'(0) and |f'(a)| ≤ c₂
          |f'(0)|.
Shapes:   g, d and every s and y (n,): all trained parameters as one flat array; m pairs, the oldest first; sᵀy (m,).
Units:    none.
Traffic:  reads each pair twice, 4 m n numbers, and d 4 m times; d stays in a cache if it fits.
Errors:   none. A pair whose sᵀy is at most 10⁻¹⁰ yᵀy is discarded, because H might not stay positive definite.
Accuracy: dot products are accumulated in float64; the rest is in the dtype of g.
Source:   J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006: algorithm 7.4 (two loops), (7.20) for γ, 3.5 and
          3.6 (line search), (3.59) for its cubic; J. Nocedal, Math. Comp. 35, 1980.
"""

NO_CURVATURE = 1e-10
"""A pair is kept only if sᵀy exceeds this fraction of |y|²; below it, rounding decides the sign of sᵀy."""
