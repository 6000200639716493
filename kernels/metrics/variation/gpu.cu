// Variation of targets and errors: what a row adds to a sum. Contract: the package's docstring.

namespace metric::variation {

struct Note {};

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ Note note(const Walked&, Scores&, Targets&) {
    return {};
}

template <typename Scores, typename Targets>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, Scores& scores, Targets& targets, REAL
) {
    long long kind = sum / row.columns;
    int k = static_cast<int>(sum % row.columns);
    double t = one(targets, k);
    if (kind == 0) return t;
    double number = kind == 1 ? t : one(scores, k) - t;
    return number * number;
}

}  // namespace metric::variation
