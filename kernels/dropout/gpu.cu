// Dropout: a mask applied. Contract: the package's docstring.

#include "_cuda/packs.cu"

// y = x where kept, times factor = 1 / (1 - rate), else 0; y may be x.
extern "C" __global__ void dropout_apply(const REAL* x, const bool* keep, REAL factor, REAL* y, long long count) {
    bool aligned = is_aligned<LANES>(x) && is_aligned<LANES>(keep) && is_aligned<LANES>(y);
    for_packs(aligned, count, [=](auto packs, long long i) {
        auto values = packs.read(x + i);
        auto kept = packs.read(keep + i);
        for (int lane = 0; lane < packs.lanes; ++lane) {
            values.lane[lane] = kept.lane[lane] ? values.lane[lane] * factor : REAL(0);
        }
        packs.write(y + i, values);
    });
}
