// Clipping by the norm. Contract: the package's docstring. Each block leaves the sum of its squares, in double, and
// sum_parts adds them up; nobody but the GPU ever knows the norm.

#include "_cuda/packs.cu"
#include "_cuda/sums.cu"

extern "C" __global__ void __launch_bounds__(256) sum_squares(const REAL* x, double* parts, long long count) {
    long long packs = is_aligned<LANES>(x) ? count / LANES : 0;
    double sum = 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(x + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) sum += static_cast<double>(values.lane[lane]) * values.lane[lane];
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) {
        sum += static_cast<double>(x[i]) * x[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// y may be x. A norm that is not a number is not within the bound.
extern "C" __global__ void scale_to_norm(const REAL* x, const double* squares, double bound, REAL* y, long long count) {
    double norm = sqrt(squares[0]);
    REAL factor = static_cast<REAL>(norm <= bound ? 1.0 : bound / norm);
    long long packs = is_aligned<LANES>(x) && is_aligned<LANES>(y) ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(x + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) values.lane[lane] *= factor;
        store<LANES>(y + i * LANES, values);
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) y[i] = x[i] * factor;
}
