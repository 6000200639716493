// A metric of several sums over the rows of a batch. METRIC is its name; the folder's gpu.cu defines what a row adds to
// a sum, `summand`, and what must be known about a row first, `note`, computed by all threads that share the row.
//
// A block processes some of the rows (blockIdx.x) and BLOCK of the sums (blockIdx.y), one per thread. Its threads
// alternate between taking the notes of NOTED rows, and each adding these rows to its sum, in order. So no two threads
// add to one number, and every run gives the same bits.

#include "_cuda/rows.cu"

// Element of a row in column k.
template <typename Numbers>
__device__ __forceinline__ REAL one(Numbers& numbers, int k) {
    return numbers.get(0, k).lane[0];
}

#include "metrics/METRIC/gpu.cu"

constexpr int NOTED = 64;  // rows whose notes are kept at a time

template <typename Target>
__device__ __forceinline__ void add_up(
    const REAL* scores, const Target* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, long long count, long long rows_per_block, int group
) {
    __shared__ metric::METRIC::Note notes[NOTED];
    long long first = blockIdx.x * rows_per_block, end = first + rows_per_block;
    if (end > rows) end = rows;
    long long sum = static_cast<long long>(blockIdx.y) * blockDim.x + threadIdx.x;
    int rows_at_once = static_cast<int>(blockDim.x) / group;
    double total = 0;
    for (long long start = first; start < end; start += NOTED) {
        int here = static_cast<int>(end - start < NOTED ? end - start : NOTED);
        for (int base = 0; base < here; base += rows_at_once) {
            const Walk<1, false, 0> row(row_of_thread(start + base, start + here, columns, group));
            auto numbers = in_memory<1>(scores, row);
            auto wanted = in_memory<1>(targets, row);
            metric::METRIC::Note note = metric::METRIC::note(row, numbers, wanted);
            if (row.present && row.lane == 0) notes[row.number - start] = note;
        }
        __syncthreads();
        if (sum < count) {
            for (int i = 0; i < here; ++i) {
                Row row = {start + i, columns, 0, 1, true};
                auto numbers = in_memory<1>(scores, row);
                auto wanted = in_memory<1>(targets, row);
                double summand = metric::METRIC::summand(sum, notes[i], row, numbers, wanted, threshold);
                total += static_cast<double>(weight(weights, row)) * summand;
            }
        }
        __syncthreads();
    }
    if (sum >= count) return;
    if (gridDim.x > 1) {
        parts[blockIdx.x * count + sum] = total;
    } else {
        totals[sum] = adds ? totals[sum] + total : total;
    }
}

extern "C" __global__ void __launch_bounds__(256) sums_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, long long count, long long rows_per_block, int group
) {
    add_up(scores, targets, weights, threshold, parts, totals, adds, rows, columns, count, rows_per_block, group);
}

extern "C" __global__ void __launch_bounds__(256) sums_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, long long count, long long rows_per_block, int group
) {
    add_up(scores, targets, weights, threshold, parts, totals, adds, rows, columns, count, rows_per_block, group);
}

// Adds the blocks' parts of each sum in block order, and writes them to totals (count,), or adds them.
extern "C" __global__ void __launch_bounds__(256) add_parts(
    const double* parts, double* totals, bool adds, long long count, long long blocks
) {
    long long sum = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (sum >= count) return;
    double total = 0;
    for (long long block = 0; block < blocks; ++block) total += parts[block * count + sum];
    totals[sum] = adds ? totals[sum] + total : total;
}
