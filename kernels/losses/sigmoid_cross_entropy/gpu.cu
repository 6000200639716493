// Sigmoid cross-entropy, row by row. Contract: the package's docstring.

#include "activations/sigmoid/gpu.cu"

namespace loss::sigmoid_cross_entropy {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Target>
__device__ __forceinline__ REAL row_loss(
    const Row& row, const REAL* logits, const Target* targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        REAL z = logits[k], t = target(targets, row, k);
        loss += (z < REAL(0) ? REAL(0) : z) - z * t + log1p(exp(-fabs(z)));
        out[k] = step * (activation::sigmoid::forward(z) - t);
    }
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::sigmoid_cross_entropy
