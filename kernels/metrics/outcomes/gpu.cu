// Outcomes of yes or no: what a row adds to a sum. Contract: the package's docstring.

namespace metric::outcomes {

struct Note {};

template <typename Target>
__device__ __forceinline__ Note note(const Row&, const REAL*, const Target*) {
    return {};
}

template <typename Target>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, const REAL* scores, const Target* targets, REAL threshold
) {
    long long kind = sum / row.columns, k = sum % row.columns;
    bool predicted = scores[row.number * row.columns + k] > threshold;
    bool actual = target(targets, row, k) > REAL(0.5);
    return kind == 0 ? predicted && actual : kind == 1 ? predicted : actual;
}

}  // namespace metric::outcomes
