// Dropout: a mask applied. Contract: the package's docstring.

#include "_cuda/packs.cu"

// y = x where kept, times factor = 1 / (1 - rate), else 0; y may be x.
extern "C" __global__ void dropout_apply(const REAL* x, const bool* keep, REAL factor, REAL* y, long long count) {
    bool aligned = is_aligned<LANES>(x) && is_aligned<LANES>(keep) && is_aligned<LANES>(y);
    long long packs = aligned ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(x + i * LANES);
        Pack<bool, LANES> kept = load<LANES>(keep + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) {
            values.lane[lane] = kept.lane[lane] ? values.lane[lane] * factor : REAL(0);
        }
        store<LANES>(y + i * LANES, values);
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) {
        y[i] = keep[i] ? x[i] * factor : REAL(0);
    }
}
