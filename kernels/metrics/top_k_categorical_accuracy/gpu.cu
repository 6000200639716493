// Top-k accuracy, row by row. Contract: the package's docstring.

#include "metrics/categorical_accuracy/gpu.cu"

namespace metric::top_k_categorical_accuracy {

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ double value(const Walked& row, Scores& scores, Targets& targets, REAL threshold) {
    const int place = categorical_accuracy::label(row, targets);
    bool known = place >= 0 && place < row.columns;
    REAL own = REAL(0);  // nonzero only in the thread that has the column
    row.each(scores, [&](int k, REAL score) { own = k == place ? score : own; });
    own = row_sum(row, own);
    int rank = 0;
    row.each(scores, [&](int j, REAL score) {
        bool equal = score == own || (score != score && own != own);
        bool larger = own == own && (score > own || score != score);
        rank += equal ? j < place : larger;
    });
    rank = row_sum(row, rank);
    return known && static_cast<REAL>(rank) < threshold ? 1.0 : 0.0;
}

}  // namespace metric::top_k_categorical_accuracy
