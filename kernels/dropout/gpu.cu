// Dropout as a separate pass, with a mask or drawn on the fly. Contract: the package's docstring.

#include "dropout/draw.cu"

// y = x times factor = 1 / (1 - rate) where kept, else 0; y may be x.
extern "C" __global__ void dropout_apply(const REAL* x, const bool* keep, REAL factor, REAL* y, long long count) {
    bool aligned = is_aligned<LANES>(x) && is_aligned<LANES>(keep) && is_aligned<LANES>(y);
    auto read = [=](auto packs, long long i) { return pair(packs.read(x + i), packs.read(keep + i)); };
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            held.first.lane[lane] = held.second.lane[lane] ? held.first.lane[lane] * factor : REAL(0);
        }
        packs.write(y + i, held.first);
    });
}

// As dropout_apply, without a mask.
extern "C" __global__ void dropout_draw(
    const REAL* x, unsigned int threshold, unsigned int seed, unsigned int purpose, unsigned int layer,
    unsigned long long step, const long long* clock, REAL factor, REAL* y, long long count
) {
    const Dropout dropout = {threshold, seed, purpose, layer, step_now(step, clock), factor};
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    for_packs<2>(is_aligned<LANES>(x) && is_aligned<LANES>(y), count, read, [=](auto packs, long long i, auto& values) {
        dropout.apply(values, i);
        packs.write(y + i, values);
    });
}
