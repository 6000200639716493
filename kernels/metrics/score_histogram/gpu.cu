// Score histograms: what a row adds to a sum. Contract: the package's docstring.

namespace metric::score_histogram {

constexpr int BINS = 512, PER_UNIT = 16;

struct Note {};

template <typename Target>
__device__ __forceinline__ Note note(const Row&, const REAL*, const Target*) {
    return {};
}

__device__ __forceinline__ int bin(double x, REAL threshold) {
    if (threshold != 0) x = x > 0 && x < 1 ? log(x / (1 - x)) : x >= 1 ? BINS : -BINS;
    if (!(x > -BINS)) return 0;  // NaN, too
    int place = static_cast<int>(floor(PER_UNIT * (x < BINS ? x : BINS))) + BINS / 2;
    return place < 0 ? 0 : place >= BINS ? BINS - 1 : place;
}

template <typename Target>
__device__ __forceinline__ double summand(
    long long sum, Note, const Row& row, const REAL* scores, const Target* targets, REAL threshold
) {
    long long histogram = sum / BINS, k = histogram % row.columns;
    bool yes = target(targets, row, k) > REAL(0.5);
    if (yes != (histogram >= row.columns)) return 0;
    return bin(scores[row.number * row.columns + k], threshold) == sum % BINS;
}

}  // namespace metric::score_histogram
