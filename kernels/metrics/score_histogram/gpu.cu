// Score histograms: what a row adds to a sum. Contract: the package's docstring.

namespace metric::score_histogram {

constexpr int BINS = 512, PER_UNIT = 16;

struct Note {};

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ Note note(const Walked&, Scores&, Targets&) {
    return {};
}

__device__ __forceinline__ int bin(double x, REAL threshold) {
    if (threshold != 0) x = x > 0 && x < 1 ? log(x / (1 - x)) : x >= 1 ? BINS : -BINS;
    if (!(x > -BINS)) return 0;  // NaN, too
    int place = static_cast<int>(floor(PER_UNIT * (x < BINS ? x : BINS))) + BINS / 2;
    return place < 0 ? 0 : place >= BINS ? BINS - 1 : place;
}

template <typename Scores, typename Targets>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, Scores& scores, Targets& targets, REAL threshold
) {
    long long histogram = sum / BINS;
    int k = static_cast<int>(histogram % row.columns);
    bool yes = one(targets, k) > REAL(0.5);
    if (yes != (histogram >= row.columns)) return 0;
    return bin(one(scores, k), threshold) == sum % BINS;
}

}  // namespace metric::score_histogram
