// What stands around a dense layer's matrix products: bias and activation in one pass after the first, activation's
// derivative and the bias gradient in one pass before the others. Contract: the package's docstring.
//
// SAVES_INPUT is 1 if the backward pass needs z = x w + b, else 0.

#include "_cuda/elementwise.cu"
#include "_cuda/columns.cu"

// y = f(z + b), z = x w (B, O); b may be null. Where z is needed later, z + b takes its place; else y may be z.
// Blocks of (x, y) threads: x along the columns, y rows at a time.
template <int WIDTH>
__device__ __forceinline__ void finish(REAL* z, const REAL* b, REAL* y, long long rows, long long columns) {
    long long column = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * WIDTH;
    long long row_stride = static_cast<long long>(gridDim.y) * blockDim.y;
    for (; column < columns; column += static_cast<long long>(gridDim.x) * blockDim.x * WIDTH) {
        Pack<REAL, WIDTH> bias = {};
        if (b != nullptr) {  // a view of all parameters: hardly ever aligned
            for (int lane = 0; lane < WIDTH; ++lane) bias.lane[lane] = b[column + lane];
        }
        for (long long row = blockIdx.y * blockDim.y + threadIdx.y; row < rows; row += row_stride) {
            long long place = row * columns + column;
            Pack<REAL, WIDTH> values = load<WIDTH>(z + place);
            for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] += bias.lane[lane];
            if (SAVES_INPUT) store<WIDTH>(z + place, values);
            for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] = activate(values.lane[lane]);
            store<WIDTH>(y + place, values);
        }
    }
}

extern "C" __global__ void dense_forward(REAL* z, const REAL* b, REAL* y, long long rows, long long columns) {
    bool aligned = is_aligned<LANES>(z) && is_aligned<LANES>(y);
    if (aligned && columns % LANES == 0) {
        finish<LANES>(z, b, y, rows, columns);
    } else {
        finish<1>(z, b, y, rows, columns);
    }
}

// dz = dy f'(saved), and the sum of dz down each column of this block's chunk of rows: to parts (chunks, O).
// A chunk is `chunk` rows; blockIdx.y counts chunks. dz may be dy. Without parts (null), only dz.
template <int WIDTH>
__device__ __forceinline__ void weigh(
    const REAL* dy, const REAL* saved, REAL* dz, REAL* parts, long long rows, long long columns, long long chunk,
    REAL* shared
) {
    long long first = blockIdx.y * chunk;
    long long last = first + chunk < rows ? first + chunk : rows;
    long long strip = static_cast<long long>(blockDim.x) * WIDTH;
    for (long long start = blockIdx.x * strip; start < columns; start += gridDim.x * strip) {
        long long column = start + static_cast<long long>(threadIdx.x) * WIDTH;
        REAL sums[WIDTH] = {};
        if (column < columns) {
            long long place = (first + threadIdx.y) * columns + column, step = blockDim.y * columns;
            const REAL *from = dy + place, *kept_from = saved + place;
            REAL* to = dz + place;  // walking pointers: from numbered places, packs were stored number by number
            for (long long row = first + threadIdx.y; row < last; row += blockDim.y) {
                Pack<REAL, WIDTH> values = load<WIDTH>(from), kept = load<WIDTH>(kept_from);
                for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] *= slope(kept.lane[lane]);
                store<WIDTH>(to, values);
                for (int lane = 0; lane < WIDTH; ++lane) sums[lane] += values.lane[lane];
                from += step, kept_from += step, to += step;
            }
        }
        if (parts == nullptr) continue;  // the same for all threads
        sum_down<WIDTH>(sums, shared);
        if (threadIdx.y == 0 && column < columns) {
            for (int lane = 0; lane < WIDTH; ++lane) parts[blockIdx.y * columns + column + lane] = sums[lane];
        }
    }
}

extern "C" __global__ void dense_backward(
    const REAL* dy, const REAL* saved, REAL* dz, REAL* parts, long long rows, long long columns, long long chunk
) {
    __shared__ REAL shared[LANES * STRIP_THREADS];
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(saved) && is_aligned<LANES>(dz);
    if (aligned && columns % LANES == 0) {
        weigh<LANES>(dy, saved, dz, parts, rows, columns, chunk, shared);
    } else {
        weigh<1>(dy, saved, dz, parts, rows, columns, chunk, shared);
    }
}
