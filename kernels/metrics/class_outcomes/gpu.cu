// Outcomes of a choice among classes: what a row adds to a sum. Contract: the package's docstring.

#include "metrics/categorical_accuracy/gpu.cu"

namespace metric::class_outcomes {

struct Note {
    long long predicted, actual;
};

template <typename Target>
__device__ __forceinline__ Note note(const Row& row, const REAL* scores, const Target* targets) {
    long long predicted = categorical_accuracy::largest_place(row, scores);
    return {predicted, categorical_accuracy::label(targets, row)};
}

template <typename Target>
__device__ __forceinline__ double summand(
    long long sum, Note note, const Row& row, const REAL*, const Target*, REAL
) {
    long long kind = sum / row.columns, k = sum % row.columns;
    bool predicted = note.predicted == k, actual = note.actual == k;
    return kind == 0 ? predicted && actual : kind == 1 ? predicted : actual;
}

}  // namespace metric::class_outcomes
