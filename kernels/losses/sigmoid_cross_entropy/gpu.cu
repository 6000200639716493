// Sigmoid cross-entropy, row by row. Contract: the package's docstring.

#include "activations/sigmoid/gpu.cu"

namespace loss::sigmoid_cross_entropy {

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& logits, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(logits, targets, out, [&](int, REAL z, REAL t) {
        loss += (z < REAL(0) ? REAL(0) : z) - z * t + log1p(exp(-fabs(z)));
        return step * (activation::sigmoid::forward(z) - t);
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::sigmoid_cross_entropy
