// Class outcomes: what a row adds to a sum. Contract: the package's docstring.

#include "metrics/categorical_accuracy/gpu.cu"

namespace metric::class_outcomes {

struct Note {
    int predicted, actual;
};

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ Note note(const Walked& row, Scores& scores, Targets& targets) {
    int predicted = categorical_accuracy::largest_place(row, scores);
    return {predicted, categorical_accuracy::label(row, targets)};
}

template <typename Scores, typename Targets>
__device__ __forceinline__ double summand(long long sum, Note note, const Row& row, Scores&, Targets&, REAL) {
    long long kind = sum / row.columns, k = sum % row.columns;
    bool predicted = note.predicted == k, actual = note.actual == k;
    return kind == 0 ? predicted && actual : kind == 1 ? predicted : actual;
}

}  // namespace metric::class_outcomes
