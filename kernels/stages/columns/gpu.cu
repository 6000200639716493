// Copies columns of one matrix to columns of another; also used for concatenation, copies and zeroing. Contract: the
// package's docstring.

#include "_cuda/packs.cu"

// to[i, to_first + j] = from[i, from_first + j] for j < columns, or 0 if `from`, which is from_columns wide, has no
// such column. Blocks of (x, y) threads: x along a row, y rows at a time.
template <int N>
__device__ __forceinline__ void copy(
    Packs<N> packs, const REAL* from, int from_columns, int from_first, REAL* to, int to_columns, int to_first,
    long long rows, int columns
) {
    const int strip = gridDim.x * blockDim.x * N;
    const long long down = static_cast<long long>(gridDim.y) * blockDim.y;
    for (int j = (blockIdx.x * blockDim.x + threadIdx.x) * N; j < columns; j += strip) {
        const int k = from_first + j;  // a pack has all of its columns or none: see the caller
        const bool there = 0 <= k && k < from_columns;
        for (long long i = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; i < rows; i += down) {
            Pack<REAL, N> values = {};
            if (there) values = packs.read(from + i * from_columns + k);
            packs.write(to + i * to_columns + to_first + j, values);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) copy_columns(
    const REAL* from, int from_columns, int from_first, REAL* to, int to_columns, int to_first, long long rows,
    int columns
) {
    bool whole = from_columns % LANES == 0 && from_first % LANES == 0 && to_columns % LANES == 0;
    whole = whole && to_first % LANES == 0 && columns % LANES == 0;
    if (whole && is_aligned<LANES>(from) && is_aligned<LANES>(to)) {
        copy(Packs<LANES>{}, from, from_columns, from_first, to, to_columns, to_first, rows, columns);
    } else {
        copy(Packs<1>{}, from, from_columns, from_first, to, to_columns, to_first, rows, columns);
    }
}
