// Softmax cross-entropy, row by row. Contract: the package's docstring.

#define MANY_PASSES  // worth registers: see rows.py

namespace loss::softmax_cross_entropy {

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& logits, Targets& targets, REAL factor, REAL* out
) {
    REAL target_sum = REAL(0), loss = REAL(0);  // loss: second half of the sum of t (log(total) - shifted) over targets t
    Peak peak;
    if constexpr (Walked::KEPT) {
        row.each(logits, [&](int, REAL z) { peak.largest = larger(peak.largest, z); });
        peak.largest = row_largest(row, peak.largest);
        row.change(logits, targets, [&](int, REAL z, REAL t) {
            REAL shifted = z - peak.largest, share = exp(shifted);
            peak.total += share;
            target_sum += t;
            loss -= t * shifted;
            return share;
        });
        peak.total = row_sum(row, peak.total);
    } else {
        row.turns(logits, targets, [&](int, int, auto& z, auto& t) {
            peak.add(z);
            for (REAL each : t.lane) target_sum += each;
        });
        peak = row_peak(row, peak);
    }
    target_sum = row_sum(row, target_sum);
    REAL step = factor * target_sum / peak.total;
    row.map(logits, targets, out, [&](int, REAL z, REAL t) {
        if constexpr (!Walked::KEPT) {
            REAL shifted = z - peak.largest;
            loss -= t * shifted;
            z = exp(shifted);
        }
        return z * step - factor * t;
    });
    return row_sum(row, loss) + log(peak.total) * target_sum;
}

}  // namespace loss::softmax_cross_entropy
