// Top-k accuracy, row by row. Contract: the package's docstring.

#include "metrics/categorical_accuracy/gpu.cu"

namespace metric::top_k_categorical_accuracy {

template <typename Target>
__device__ __forceinline__ double value(const Row& row, const REAL* scores, const Target* targets, REAL threshold) {
    long long place = categorical_accuracy::label(targets, row);
    bool known = place >= 0 && place < row.columns;
    const REAL* numbers = scores + row.number * row.columns;
    REAL own = row.present && known ? numbers[place] : REAL(0);
    int rank = 0;
    for (long long j = row.first(); j < row.columns; j += row.group) {
        REAL score = numbers[j];
        bool equal = score == own || (score != score && own != own);
        bool larger = own == own && (score > own || score != score);
        rank += equal ? j < place : larger;
    }
    rank = row_sum(row, rank);
    return known && static_cast<REAL>(rank) < threshold ? 1.0 : 0.0;
}

}  // namespace metric::top_k_categorical_accuracy
