// Variation of targets and errors: what a row adds to a sum. Contract: the package's docstring.

namespace metric::variation {

struct Note {};

template <typename Target>
__device__ __forceinline__ Note note(const Row&, const REAL*, const Target*) {
    return {};
}

template <typename Target>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, const REAL* scores, const Target* targets, REAL
) {
    long long kind = sum / row.columns, k = sum % row.columns;
    double t = target(targets, row, k);
    if (kind == 0) return t;
    double number = kind == 1 ? t : scores[row.number * row.columns + k] - t;
    return number * number;
}

}  // namespace metric::variation
