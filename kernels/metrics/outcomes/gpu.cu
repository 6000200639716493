// Binary outcomes: what a row adds to a sum. Contract: the package's docstring.

namespace metric::outcomes {

struct Note {};

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ Note note(const Walked&, Scores&, Targets&) {
    return {};
}

template <typename Scores, typename Targets>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, Scores& scores, Targets& targets, REAL threshold
) {
    long long kind = sum / row.columns;
    int k = static_cast<int>(sum % row.columns);
    bool predicted = one(scores, k) > threshold;
    bool actual = one(targets, k) > REAL(0.5);
    return kind == 0 ? predicted && actual : kind == 1 ? predicted : actual;
}

}  // namespace metric::outcomes
