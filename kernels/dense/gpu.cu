// The passes around the matrix products of a dense layer: bias and activation in one pass after the first product, the
// activation's derivative and the bias gradient in one pass before the others; a following dropout is part of both.
// Contract: the package's docstring.
//
// SAVES_INPUT is 1 if the backward pass needs z = x w + b, else 0.

#include "_cuda/elementwise.cu"
#include "_cuda/columns.cu"
#include "dropout/draw.cu"

// y = f(z + b), z = x w (B, O); b may be null. If z is needed later, z + b overwrites it; otherwise y may be z. If
// `dropped` is not null, it gets y after dropout, and y may be null. Blocks of (x, y) threads: x along the columns, y
// rows at a time.
template <int WIDTH>
__device__ __forceinline__ void finish(
    REAL* z, const REAL* b, REAL* y, REAL* dropped, const Dropout& dropout, long long rows, int columns
) {
    const int down = gridDim.y * blockDim.y, strip = gridDim.x * blockDim.x * WIDTH;
    for (int column = (blockIdx.x * blockDim.x + threadIdx.x) * WIDTH; column < columns; column += strip) {
        Pack<REAL, WIDTH> bias = {};
        if (b != nullptr) {  // a view of all parameters, not always aligned
            for (int lane = 0; lane < WIDTH; ++lane) bias.lane[lane] = b[column + lane];
        }
#pragma unroll 1
        for (long long start = 0; start < rows; start += CHUNK) {
            const int here = static_cast<int>(rows - start < CHUNK ? rows - start : CHUNK);
            auto place = [=](int row) { return (start + row) * columns + column; };
            auto read = [=](int row) { return load<WIDTH>(z + place(row)); };
            some_at_once<2>(blockIdx.y * blockDim.y + threadIdx.y, down, here, read, [=](int row, auto& values) {
                for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] += bias.lane[lane];
                if (SAVES_INPUT) store<WIDTH>(z + place(row), values);
                for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] = activate(values.lane[lane]);
                if (y != nullptr) store<WIDTH>(y + place(row), values);
                if (dropped != nullptr) {
                    dropout.apply(values, place(row));
                    store<WIDTH>(dropped + place(row), values);
                }
            });
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) dense_forward(
    REAL* z, const REAL* b, REAL* y, REAL* dropped, unsigned int threshold, unsigned int seed, unsigned int purpose,
    unsigned int layer, unsigned long long step, const long long* clock, REAL factor, long long rows, int columns
) {
    const Dropout dropout = {threshold, seed, purpose, layer, step_now(step, clock), factor};
    bool aligned = is_aligned<LANES>(z) && is_aligned<LANES>(y) && is_aligned<LANES>(dropped);
    if (aligned && columns % LANES == 0) {
        finish<LANES>(z, b, y, dropped, dropout, rows, columns);
    } else {
        finish<1>(z, b, y, dropped, dropout, rows, columns);
    }
}

// dz = dy f'(saved), and the sum of dz down each column of this block's chunk of rows, to parts (chunks, O). A chunk is
// `chunk` rows; blockIdx.y numbers the chunks. dz may be dy, or null if dy already is dz. If parts is null, only dz is
// computed. If `dropped`, dy is the gradient after a dropout of y.
template <int WIDTH>
__device__ __forceinline__ void weigh(
    const REAL* dy, const REAL* saved, REAL* dz, REAL* parts, bool dropped, const Dropout& dropout, long long rows,
    int columns, int chunk, REAL* shared
) {
    const long long first = static_cast<long long>(blockIdx.y) * chunk;
    const int here = static_cast<int>(rows - first < chunk ? rows - first : chunk);
    const int strip = blockDim.x * WIDTH;
    for (int start = blockIdx.x * strip; start < columns; start += gridDim.x * strip) {
        const int column = start + threadIdx.x * WIDTH;
        REAL sums[WIDTH] = {};
        if (column < columns) {
            auto place = [=](int row) { return (first + row) * columns + column; };
            auto read = [=](int row) { return pair(load<WIDTH>(dy + place(row)), load<WIDTH>(saved + place(row))); };
            some_at_once<2>(threadIdx.y, blockDim.y, here, read, [&](int row, auto& held) {
                auto& values = held.first;
                if (dropped) dropout.apply(values, place(row));
                for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] *= slope(held.second.lane[lane]);
                if (dz != nullptr) store<WIDTH>(dz + place(row), values);
                for (int lane = 0; lane < WIDTH; ++lane) sums[lane] += values.lane[lane];
            });
        }
        if (parts == nullptr) continue;  // uniform over the block
        sum_down<WIDTH>(sums, shared);
        if (threadIdx.y == 0 && column < columns) {
            REAL* to = parts + static_cast<long long>(blockIdx.y) * columns + column;
            for (int lane = 0; lane < WIDTH; ++lane) to[lane] = sums[lane];
        }
    }
}

extern "C" __global__ void __launch_bounds__(256) dense_backward(
    const REAL* dy, const REAL* saved, REAL* dz, REAL* parts, bool dropped, unsigned int threshold, unsigned int seed,
    unsigned int purpose, unsigned int layer, unsigned long long step, const long long* clock, REAL factor,
    long long rows, int columns, int chunk
) {
    __shared__ REAL shared[LANES * STRIP_THREADS];
    const Dropout dropout = {threshold, seed, purpose, layer, step_now(step, clock), factor};
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(saved) && is_aligned<LANES>(dz);
    if (aligned && columns % LANES == 0) {
        weigh<LANES>(dy, saved, dz, parts, dropped, dropout, rows, columns, chunk, shared);
    } else {
        weigh<1>(dy, saved, dz, parts, dropped, dropout, rows, columns, chunk, shared);
    }
}
