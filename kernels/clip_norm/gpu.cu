// Gradient clipping. Contract: the package's docstring. For the norm, each block writes the sum of its squares, in
// double, and sum_parts adds them up; the norm never leaves the GPU.

#include "_cuda/packs.cu"
#include "_cuda/sums.cu"

extern "C" __global__ void __launch_bounds__(256) sum_squares(const REAL* x, double* parts, long long count) {
    double sum = 0;
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    for_packs<4>(is_aligned<LANES>(x), count, read, [&](auto packs, long long, auto& values) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            sum += static_cast<double>(values.lane[lane]) * values.lane[lane];
        }
    });
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// y may be x. A NaN norm is not within the bound.
extern "C" __global__ void scale_to_norm(const REAL* x, const double* squares, double bound, REAL* y, long long count) {
    double norm = sqrt(squares[0]);
    REAL factor = static_cast<REAL>(norm <= bound ? 1.0 : bound / norm);
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    for_packs<4>(is_aligned<LANES>(x) && is_aligned<LANES>(y), count, read, [=](auto packs, long long i, auto& values) {
        for (int lane = 0; lane < packs.lanes; ++lane) values.lane[lane] *= factor;
        packs.write(y + i, values);
    });
}

// y may be x. NaN is neither above nor below a bound.
extern "C" __global__ void clip_value(const REAL* x, REAL bound, REAL* y, long long count) {
    auto read = [=](auto packs, long long i) { return packs.read(x + i); };
    for_packs<4>(is_aligned<LANES>(x) && is_aligned<LANES>(y), count, read, [=](auto packs, long long i, auto& values) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            REAL value = values.lane[lane];
            values.lane[lane] = value > bound ? bound : value < -bound ? -bound : value;
        }
        packs.write(y + i, values);
    });
}
