// Interpolation. Contract: the package's docstring.

#include "_cuda/packs.cu"

// out may be x.
extern "C" __global__ void __launch_bounds__(256) interpolate(
    const REAL* x, const REAL* y, double share, REAL* out, long long count
) {
    REAL of_x = static_cast<REAL>(1 - share), of_y = static_cast<REAL>(share);
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    bool aligned = is_aligned<LANES>(x) && is_aligned<LANES>(y) && is_aligned<LANES>(out);
    for_packs<4>(aligned, count, read, [=](auto packs, long long i, auto& values) {
        auto others = packs.read(y + i);
        for (int lane = 0; lane < packs.lanes; ++lane) {
            values.lane[lane] = of_x * values.lane[lane] + of_y * others.lane[lane];
        }
        packs.write(out + i, values);
    });
}
