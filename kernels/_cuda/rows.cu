// Rows of a matrix (rows, columns), each shared by a group of 1, 2, 4, 8, 16 or 32 threads of one warp: the smallest
// group that has a thread for every column, so that short rows leave few threads idle.
//
// All threads of a warp go through the loop over rows together, also those without a row left, because they exchange
// numbers on the way.

constexpr unsigned int WARP = 0xffffffffu;

struct Row {
    long long number;   // which row; 0 for a thread without one
    long long columns;
    int lane, group;    // this thread's place among the threads of the row, and how many they are
    bool present;       // false for a thread without a row

    // The columns of this thread are first(), first() + group, ...; none for a thread without a row.
    __device__ __forceinline__ long long first() const {
        return present ? lane : columns;
    }

    // A column to begin a search with: this thread's first, or the last column if it has none.
    __device__ __forceinline__ long long any() const {
        return lane < columns ? lane : columns - 1;
    }
};

// The row of this thread when the block's first is row `start`.
__device__ __forceinline__ Row row_of_thread(long long start, long long rows, long long columns, int group) {
    long long number = start + threadIdx.x / group;
    bool present = number < rows;
    return {present ? number : 0, columns, static_cast<int>(threadIdx.x % group), group, present};
}

// The larger number; a NaN counts as the largest, so that no row with one looks sound.
__device__ __forceinline__ REAL larger(REAL a, REAL b) {
    return b > a || b != b ? b : a;
}

// Of all threads of the row, to all of them.
__device__ __forceinline__ REAL row_largest(const Row& row, REAL value) {
    for (int offset = row.group / 2; offset > 0; offset /= 2) {
        value = larger(value, __shfl_xor_sync(WARP, value, offset));
    }
    return value;
}

template <typename T>
__device__ __forceinline__ T row_sum(const Row& row, T value) {
    for (int offset = row.group / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(WARP, value, offset);
    return value;
}

// Entry (row, k) of targets (rows, columns), or of the one-hot rows that labels (rows,) stand for.
__device__ __forceinline__ REAL target(const REAL* targets, const Row& row, long long k) {
    return targets[row.number * row.columns + k];
}

__device__ __forceinline__ REAL target(const long long* labels, const Row& row, long long k) {
    return labels[row.number] == k ? REAL(1) : REAL(0);
}

// Weight of the row, 1 if there are no weights.
__device__ __forceinline__ REAL weight(const REAL* weights, const Row& row) {
    return weights != nullptr && row.present ? weights[row.number] : REAL(1);
}
