// Softmax, row by row. Contract: the package's docstring.

#include "_cuda/rows.cu"

// y = softmax(x + b), b (C,) or null; y may be x.
extern "C" __global__ void softmax_forward(
    const REAL* x, const REAL* b, REAL* y, long long rows, long long columns, int group
) {
    int rows_at_once = blockDim.x / group;
    long long stride = static_cast<long long>(gridDim.x) * rows_at_once;
    for (long long start = static_cast<long long>(blockIdx.x) * rows_at_once; start < rows; start += stride) {
        Row row = row_of_thread(start, rows, columns, group);
        const REAL* from = x + row.number * columns;
        REAL* to = y + row.number * columns;
        REAL largest = REAL(0);
        if (row.present) largest = from[row.any()] + (b != nullptr ? b[row.any()] : REAL(0));
        for (long long k = row.first(); k < columns; k += group) {
            largest = larger(largest, from[k] + (b != nullptr ? b[k] : REAL(0)));
        }
        largest = row_largest(row, largest);
        REAL total = REAL(0);
        for (long long k = row.first(); k < columns; k += group) {
            REAL share = exp(from[k] + (b != nullptr ? b[k] : REAL(0)) - largest);
            total += share;
            to[k] = share;
        }
        total = row_sum(row, total);
        for (long long k = row.first(); k < columns; k += group) to[k] /= total;
    }
}

// dx = y (dy - sum of y dy); dx may be dy.
extern "C" __global__ void softmax_backward(
    const REAL* dy, const REAL* y, REAL* dx, long long rows, long long columns, int group
) {
    int rows_at_once = blockDim.x / group;
    long long stride = static_cast<long long>(gridDim.x) * rows_at_once;
    for (long long start = static_cast<long long>(blockIdx.x) * rows_at_once; start < rows; start += stride) {
        Row row = row_of_thread(start, rows, columns, group);
        long long begin = row.number * columns;
        REAL dot = REAL(0);
        for (long long k = row.first(); k < columns; k += group) dot += y[begin + k] * dy[begin + k];
        dot = row_sum(row, dot);
        for (long long k = row.first(); k < columns; k += group) dx[begin + k] = y[begin + k] * (dy[begin + k] - dot);
    }
}
