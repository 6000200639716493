// Softmax cross-entropy, row by row. Contract: the package's docstring.

namespace loss::softmax_cross_entropy {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Target>
__device__ __forceinline__ REAL row_loss(
    const Row& row, const REAL* logits, const Target* targets, REAL factor, REAL* out
) {
    REAL largest = row.present ? logits[row.any()] : REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) largest = larger(largest, logits[k]);
    largest = row_largest(row, largest);
    REAL total = REAL(0), target_sum = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        total += exp(logits[k] - largest);
        target_sum += target(targets, row, k);
    }
    total = row_sum(row, total);
    target_sum = row_sum(row, target_sum);
    REAL log_total = log(total), step = factor * target_sum / total, loss = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        REAL shifted = logits[k] - largest, t = target(targets, row, k);
        loss += t * (log_total - shifted);
        out[k] = exp(shifted) * step - factor * t;
    }
    return row_sum(row, loss);
}

}  // namespace loss::softmax_cross_entropy
