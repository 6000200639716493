// Embedding. Contract: the package's docstring. Class numbers are clamped, so no access is out of bounds.

#include "_cuda/strips.cu"

__device__ __forceinline__ int class_of(REAL number, int classes) {
    const int found = static_cast<int>(number);
    return found < 0 ? 0 : found < classes ? found : classes - 1;
}

// Row i of y (rows, columns) is row x[i] of the table (classes, columns).
extern "C" __global__ void __launch_bounds__(256) embedding(
    const REAL* x, const REAL* table, int classes, REAL* y, long long rows, int columns, int chunk
) {
    auto begin = [](auto, int) { return 0; };
    auto read = [=](auto packs, long long, long long row, int column) {
        return packs.read(table + static_cast<long long>(class_of(x[row], classes)) * columns + column);
    };
    auto use = [=](auto packs, long long place, auto&, auto& values, auto&) { packs.write(y + place, values); };
    for_strips<0>(is_aligned<LANES>(table) && is_aligned<LANES>(y), rows, columns, chunk, Parts{}, begin, read, use);
}

constexpr int WARPS = 8;    // warps per block
constexpr int AT_ONCE = 4;  // columns per lane, 32 apart

// Gradient of the table, or the part of it from a chunk of `chunk` rows, (chunks, classes, columns). Each warp owns a
// class: it inspects 32 numbers at a time and adds up the rows of dy that belong to the class, in order. So no two
// threads add to one number, and every run gives the same bits.
extern "C" __global__ void __launch_bounds__(256) embedding_backward(
    const REAL* dy, const REAL* x, int classes, REAL* parts, long long rows, int columns, long long chunk
) {
    const int lane = threadIdx.x % 32;
    const long long first = blockIdx.y * chunk, end = first + chunk < rows ? first + chunk : rows;
    parts += static_cast<long long>(blockIdx.y) * classes * columns;
    for (long long own = static_cast<long long>(blockIdx.x) * WARPS + threadIdx.x / 32; own < classes;
         own += static_cast<long long>(gridDim.x) * WARPS) {
        for (int start = 0; start < columns; start += 32 * AT_ONCE) {
            REAL sums[AT_ONCE] = {};
            for (long long base = first; base < end; base += 32) {
                bool is_own = base + lane < end && class_of(x[base + lane], classes) == own;
                for (unsigned int left = __ballot_sync(0xffffffffu, is_own); left != 0; left &= left - 1) {
                    const REAL* row = dy + (base + __ffs(static_cast<int>(left)) - 1) * columns;
                    for (int k = 0; k < AT_ONCE; ++k) {
                        const int column = start + 32 * k + lane;
                        if (column < columns) sums[k] += row[column];
                    }
                }
            }
            for (int k = 0; k < AT_ONCE; ++k) {
                const int column = start + 32 * k + lane;
                if (column < columns) parts[own * columns + column] = sums[k];
            }
        }
    }
}
