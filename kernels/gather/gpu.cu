// Gather: the rows of a batch, converted and rescaled on the way. Contract: the package's docstring.
//
// DATA is the type of the data: each is compiled when it is first used.

#include "_cuda/packs.cu"

// Blocks of (x, y) threads: x along a row, WIDTH numbers each, y rows at a time.
template <int WIDTH>
__device__ __forceinline__ void convert(
    const DATA* data, const long long* rows, REAL scale, REAL offset, REAL* out, long long count, long long features
) {
    long long row_stride = static_cast<long long>(gridDim.y) * blockDim.y;
    long long column_stride = static_cast<long long>(gridDim.x) * blockDim.x * WIDTH;
    long long first = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * WIDTH;
    for (long long i = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; i < count; i += row_stride) {
        const DATA* from = data + rows[i] * features;
        REAL* to = out + i * features;
        for (long long j = first; j < features; j += column_stride) {
            Pack<DATA, WIDTH> numbers = load<WIDTH>(from + j);
            Pack<REAL, WIDTH> values;
            for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] = REAL(numbers.lane[lane]) * scale + offset;
            store<WIDTH>(to + j, values);
        }
    }
}

extern "C" __global__ void gather(
    const DATA* data, const long long* rows, REAL scale, REAL offset, REAL* out, long long count, long long features
) {
    if (features % 4 == 0 && is_aligned<4>(data) && is_aligned<4>(out)) {
        convert<4>(data, rows, scale, offset, out, count, features);
    } else {
        convert<1>(data, rows, scale, offset, out, count, features);
    }
}
