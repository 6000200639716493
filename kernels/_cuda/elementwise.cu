// An activation and its derivative, element by element. ACTIVATION is its name, SLOPE the name of its derivative in the
// folder's gpu.cu: in terms of the output or of the input, whichever the backward pass is given.

#include "_cuda/packs.cu"
#include "activations/ACTIVATION/gpu.cu"

__device__ __forceinline__ REAL activate(REAL x) {
    return activation::ACTIVATION::forward(x);
}

__device__ __forceinline__ REAL slope(REAL saved) {
    return activation::ACTIVATION::SLOPE(saved);
}

// y = f(x); y may be x.
extern "C" __global__ void activation_forward(const REAL* x, REAL* y, long long count) {
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    for_packs<2>(is_aligned<LANES>(x) && is_aligned<LANES>(y), count, read, [=](auto packs, long long i, auto& values) {
        for (int lane = 0; lane < packs.lanes; ++lane) values.lane[lane] = activate(values.lane[lane]);
        packs.write(y + i, values);
    });
}

// dx = dy f'; dx may be dy.
extern "C" __global__ void activation_backward(const REAL* dy, const REAL* saved, REAL* dx, long long count) {
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(saved) && is_aligned<LANES>(dx);
    auto read = [=](auto packs, long long i) { return pair(packs.read(dy + i), packs.read(saved + i)); };
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) held.first.lane[lane] *= slope(held.second.lane[lane]);
        packs.write(dx + i, held.first);
    });
}
