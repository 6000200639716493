// Gather: the rows of a batch, converted and rescaled in the same pass. Contract: the package's docstring.
//
// DATA is the type of the data; each is compiled on first use.

#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

// Blocks of (x, y) threads: x along a row, WIDTH numbers each, y rows at a time. If the row indices are null, all rows.
template <int WIDTH>
__device__ __forceinline__ void convert(
    const DATA* data, const long long* rows, REAL scale, REAL offset, REAL* out, long long count, long long features
) {
    long long row_stride = static_cast<long long>(gridDim.y) * blockDim.y;
    long long column_stride = static_cast<long long>(gridDim.x) * blockDim.x * WIDTH;
    long long first = (static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x) * WIDTH;
    for (long long i = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; i < count; i += row_stride) {
        const DATA* from = data + (rows != nullptr ? rows[i] : i) * features;
        REAL* to = out + i * features;
        for (long long j = first; j < features; j += column_stride) {
            Pack<DATA, WIDTH> numbers = load<WIDTH>(from + j);
            Pack<REAL, WIDTH> values;
            for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] = REAL(numbers.lane[lane]) * scale + offset;
            store<WIDTH>(to + j, values);
        }
    }
}

__device__ __forceinline__ void convert_rows(
    const DATA* data, const long long* rows, REAL scale, REAL offset, REAL* out, long long count, long long features
) {
    if (features % 4 == 0 && is_aligned<4>(data) && is_aligned<4>(out)) {
        convert<4>(data, rows, scale, offset, out, count, features);
    } else {
        convert<1>(data, rows, scale, offset, out, count, features);
    }
}

extern "C" __global__ void gather(
    const DATA* data, const long long* rows, REAL scale, REAL offset, REAL* out, long long count, long long features
) {
    convert_rows(data, rows, scale, offset, out, count, features);
}

// Copies rows of `from` (N, width), only by the blocks with blockIdx.x == 0.
template <typename T>
__device__ __forceinline__ void copy_rows(
    const T* from, const long long* rows, T* to, long long count, long long width
) {
    long long stride = static_cast<long long>(gridDim.y) * blockDim.y;
    for (long long i = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; i < count; i += stride) {
        for (long long j = threadIdx.x; j < width; j += blockDim.x) to[i * width + j] = from[rows[i] * width + j];
    }
}

// Everything a training step reads of the data, and the beginning of the step that the clock indicates. Its rows are
// those from (step modulo period) times `batch` on in the order. Targets are copied as 4-byte words, whatever their
// type; they and row weights may be null. The step's row of `table` is copied to `numbers`.
extern "C" __global__ void gather_batch(
    const DATA* data, const long long* order, REAL scale, REAL offset, REAL* out, long long count, long long features,
    const int* targets, int* targets_out, long long target_words, const REAL* weights, REAL* weights_out,
    long long weight_columns, const REAL* table, REAL* numbers, int numbers_count, long long* clock, long long batch,
    long long period
) {
    long long step = clock[NEXT];
    const long long* rows = order + step % period * batch;
    convert_rows(data, rows, scale, offset, out, count, features);
    if (blockIdx.x > 0) return;
    if (targets != nullptr) copy_rows(targets, rows, targets_out, count, target_words);
    if (weights != nullptr) copy_rows(weights, rows, weights_out, count, weight_columns);
    if (blockIdx.y > 0 || threadIdx.x > 0 || threadIdx.y > 0) return;
    for (int k = 0; k < numbers_count; ++k) numbers[k] = table[step * numbers_count + k];
    clock[STEP] = clock[BASE] + step;
}
