// Accuracy, row by row. Contract: the package's docstring. Each block sums its rows; sum_parts adds up the blocks' sums.

#include "_cuda/rows.cu"
#include "_cuda/sums.cu"

struct Best {
    REAL value;
    int place;
};

// The larger number, the first where both are equal; a NaN counts as the largest, as in NumPy.
__device__ __forceinline__ Best better(Best a, Best b) {
    bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    bool equal = a.value == b.value || (a_is_nan && b_is_nan);
    bool b_wins = equal ? b.place < a.place : !a_is_nan && (b_is_nan || b.value > a.value);
    return b_wins ? b : a;
}

// Place of the largest of the row's numbers.
__device__ __forceinline__ int largest_place(const Row& row, const REAL* matrix) {
    const REAL* numbers = matrix + row.number * row.columns;
    Best best = {REAL(0), 0};
    if (row.present) best = {numbers[row.any()], static_cast<int>(row.any())};
    for (long long k = row.first(); k < row.columns; k += row.group) {
        best = better(best, {numbers[k], static_cast<int>(k)});
    }
    for (int offset = row.group / 2; offset > 0; offset /= 2) {
        Best other = {__shfl_xor_sync(WARP, best.value, offset), __shfl_xor_sync(WARP, best.place, offset)};
        best = better(best, other);
    }
    return best.place;
}

__device__ __forceinline__ long long label(const REAL* targets, const Row& row) {
    return largest_place(row, targets);
}

__device__ __forceinline__ long long label(const long long* labels, const Row& row) {
    return row.present ? labels[row.number] : 0;
}

// `measure(row)` gives the share of the row that is right, in all its threads.
template <typename Measure>
__device__ __forceinline__ void sum_of_rows(
    Measure measure, const REAL* weights, double* parts, long long rows, long long columns, int group
) {
    int rows_at_once = BLOCK / group;
    long long stride = static_cast<long long>(gridDim.x) * rows_at_once;
    double sum = 0;
    for (long long start = static_cast<long long>(blockIdx.x) * rows_at_once; start < rows; start += stride) {
        Row row = row_of_thread(start, rows, columns, group);
        double right = measure(row);
        if (row.present && row.lane == 0) sum += static_cast<double>(weight(weights, row)) * right;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

template <typename Target>
struct Categorical {
    const REAL* scores;
    const Target* targets;

    __device__ __forceinline__ double operator()(const Row& row) const {
        int predicted = largest_place(row, scores);
        return predicted == label(targets, row) ? 1.0 : 0.0;
    }
};

template <typename Target>
struct Binary {
    const REAL* scores;
    const Target* targets;
    REAL threshold;

    __device__ __forceinline__ double operator()(const Row& row) const {
        int right = 0;
        for (long long k = row.first(); k < row.columns; k += row.group) {
            bool predicted = scores[row.number * row.columns + k] > threshold;
            right += predicted == (target(targets, row, k) > REAL(0.5));
        }
        return static_cast<double>(row_sum(row, right)) / static_cast<double>(row.columns);
    }
};

extern "C" __global__ void __launch_bounds__(256) categorical_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, double* parts, long long rows, long long columns,
    int group
) {
    sum_of_rows(Categorical<REAL>{scores, targets}, weights, parts, rows, columns, group);
}

extern "C" __global__ void __launch_bounds__(256) categorical_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, double* parts, long long rows,
    long long columns, int group
) {
    sum_of_rows(Categorical<long long>{scores, targets}, weights, parts, rows, columns, group);
}

extern "C" __global__ void __launch_bounds__(256) binary_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL threshold, double* parts, long long rows,
    long long columns, int group
) {
    sum_of_rows(Binary<REAL>{scores, targets, threshold}, weights, parts, rows, columns, group);
}

extern "C" __global__ void __launch_bounds__(256) binary_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, REAL threshold, double* parts, long long rows,
    long long columns, int group
) {
    sum_of_rows(Binary<long long>{scores, targets, threshold}, weights, parts, rows, columns, group);
}
