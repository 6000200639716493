// Inner product, row by row. Contract: the package's docstring.

namespace loss::inner_product {

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        loss += y * t;
        return t * factor;
    });
    return row_sum(row, loss);
}

}  // namespace loss::inner_product
