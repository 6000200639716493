"""L-BFGS: the direction of a quasi-Newton step, from the last steps and what they changed in the gradient.

Maths:    d = -H g, with H from γ 1 by the last m pairs (s, y), each H ← (1 - ρ s yᵀ) H (1 - ρ y sᵀ) + ρ s sᵀ,
          ρ = 1 / sᵀy, γ = sᵀy / yᵀy of the newest pair; by the two-loop recursion, without any matrix.
          A step x ← x + a d: a fulfils the strong Wolfe conditions, f(a) ≤ f(0) + c₁ a f'(0) and |f'(a)| ≤ c₂ |f'(0)|.
Shapes:   g, d and every s and y (n,): all trained parameters as one flat array; m pairs, the oldest first; sᵀy (m,).
Units:    none.
Traffic:  reads each pair twice, 4 m n numbers, and d 4 m times, which stays in a cache where it fits.
Errors:   none; a pair whose sᵀy is at most 10⁻¹⁰ yᵀy is not kept, for H might not be positive definite.
Accuracy: products of two vectors are summed up in float64; the rest in the dtype of g.
Source:   J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006: algorithm 7.4 (two loops), (7.20) for γ, 3.5 and
          3.6 (line search), (3.59) for its cubic; J. Nocedal, Math. Comp. 35, 1980.
"""

NO_CURVATURE = 1e-10
"""Share of |y|² that sᵀy of a pair must exceed: below, rounding decides its sign."""
