// Elementwise combination of two values. KIND is the kind of stage whose gpu.cu defines combine(a, b) in the namespace
// stage::KIND.

#include "_cuda/packs.cu"
#include "stages/KIND/gpu.cu"

// y = combine(a, b); y may be either.
extern "C" __global__ void __launch_bounds__(256) pairwise(const REAL* a, const REAL* b, REAL* y, long long count) {
    auto read = [=](auto packs, long long i) { return pair(packs.read(a + i), packs.read(b + i)); };
    bool aligned = is_aligned<LANES>(a) && is_aligned<LANES>(b) && is_aligned<LANES>(y);
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            held.first.lane[lane] = stage::KIND::combine(held.first.lane[lane], held.second.lane[lane]);
        }
        packs.write(y + i, held.first);
    });
}
