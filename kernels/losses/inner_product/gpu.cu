// Inner product, row by row. Contract: the package's docstring.

namespace loss::inner_product {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
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
