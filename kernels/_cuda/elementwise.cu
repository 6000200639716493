// An activation and its derivative, element by element. ACTIVATION is its name, SLOPE its derivative's in the folder's
// gpu.cu: of the output or of the input, whichever the backward pass is given.

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
    long long packs = is_aligned<LANES>(x) && is_aligned<LANES>(y) ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(x + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) values.lane[lane] = activate(values.lane[lane]);
        store<LANES>(y + i * LANES, values);
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) y[i] = activate(x[i]);
}

// dx = dy f'; dx may be dy.
extern "C" __global__ void activation_backward(const REAL* dy, const REAL* saved, REAL* dx, long long count) {
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(saved) && is_aligned<LANES>(dx);
    long long packs = aligned ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(dy + i * LANES);
        Pack<REAL, LANES> kept = load<LANES>(saved + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) values.lane[lane] *= slope(kept.lane[lane]);
        store<LANES>(dx + i * LANES, values);
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) {
        dx[i] = dy[i] * slope(saved[i]);
    }
}
