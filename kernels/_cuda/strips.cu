// A matrix (rows, columns) by strips of columns: elementwise work that depends on the column, and sums down the
// columns.
//
// Blocks of (x, y) threads: x along a row, several numbers each, y rows at a time. A block processes a chunk of `chunk`
// rows, numbered by blockIdx.y, and strips of columns. Values derived from a column are computed once, before its rows.
//
//   begin(packs, column)                        values derived from the columns from that one on
//   read(packs, place, row, column)             a row's numbers, `place` = row * columns + column
//   use(packs, place, known, numbers, sums)     adds to the sums: sums[k].lane[...] += ...
//
// `packs` is how many numbers a thread processes at a time: see packs.cu.

#include "_cuda/columns.cu"
#include "_cuda/packs.cu"

// Where the sums of a chunk go, (chunks, columns) each; null for sums that are not needed.
struct Parts {
    REAL *first, *second;
};

// Numbers of N columns from `column` on; a view of all parameters, not always aligned. If null, all are `otherwise`.
template <int N>
__device__ __forceinline__ Pack<REAL, N> of_columns(Packs<N>, const REAL* numbers, int column, REAL otherwise = REAL(0)) {
    Pack<REAL, N> found;
    for (int lane = 0; lane < N; ++lane) found.lane[lane] = numbers != nullptr ? numbers[column + lane] : otherwise;
    return found;
}

template <int SUMS, int N, typename Begin, typename Read, typename Use>
__device__ __forceinline__ void in_strips(
    Packs<N> packs, long long rows, int columns, int chunk, Parts parts, REAL* shared, Begin begin, Read read, Use use
) {
    const long long first = static_cast<long long>(blockIdx.y) * chunk;
    const int here = static_cast<int>(rows - first < chunk ? rows - first : chunk);
    const int strip = blockDim.x * N;
    for (int start = blockIdx.x * strip; start < columns; start += gridDim.x * strip) {
        const int column = start + threadIdx.x * N;
        Pack<REAL, N> sums[SUMS > 0 ? SUMS : 1] = {};
        if (column < columns) {
            auto known = begin(packs, column);
            auto place = [=](int row) { return (first + row) * columns + column; };
            some_at_once<2>(
                threadIdx.y, blockDim.y, here, [=](int row) { return read(packs, place(row), first + row, column); },
                [&](int row, auto& numbers) { use(packs, place(row), known, numbers, sums); }
            );
        }
        for (int k = 0; k < SUMS; ++k) {
            REAL* to = k == 0 ? parts.first : parts.second;
            if (to == nullptr) continue;  // uniform over the block
            sum_down<N>(sums[k].lane, shared);
            if (threadIdx.y == 0 && column < columns) {
                to += static_cast<long long>(blockIdx.y) * columns + column;
                for (int lane = 0; lane < N; ++lane) to[lane] = sums[k].lane[lane];
            }
        }
    }
}

// `aligned`: whether all matrices start at a pack boundary.
template <int SUMS, typename Begin, typename Read, typename Use>
__device__ __forceinline__ void for_strips(
    bool aligned, long long rows, int columns, int chunk, Parts parts, Begin begin, Read read, Use use
) {
    __shared__ REAL shared[LANES * STRIP_THREADS];
    if (aligned && columns % LANES == 0) {
        in_strips<SUMS>(Packs<LANES>{}, rows, columns, chunk, parts, shared, begin, read, use);
    } else {
        in_strips<SUMS>(Packs<1>{}, rows, columns, chunk, parts, shared, begin, read, use);
    }
}
