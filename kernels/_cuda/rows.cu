// Rows of a matrix (rows, columns), each shared by a group of 1, 2, 4, 8, 16 or 32 threads of one warp, and the three
// ways in which the threads of a group access its numbers:
//
// - Tile: a block reads as many rows as its threads process at once into shared memory, as one run of packs, and writes
//   them back in the same way. For rows that are short, or do not consist of whole packs.
// - Registers: a row is read once, as packs, and all passes use the registers.
// - Stream: a row is read as packs in every pass. For long rows, and for work in a single pass.
//
// ROWS selects one of them: the launcher knows the number of columns (rows.py), so only the needed variant is compiled.
// The work on a row is written once for all of them, as passes: `row.each(numbers, body)` and so on. All threads of a
// warp go through the loop over rows together, including those without a row, because they exchange numbers by
// shuffles.

#include "_cuda/packs.cu"

constexpr unsigned int WARP = 0xffffffffu;
constexpr int IN_TILES = 0, IN_REGISTERS = 1, AS_STREAMS = 2;  // values of ROWS
constexpr int ROW_THREADS = 256;          // threads per block
constexpr int TILED = 64 / sizeof(REAL);  // maximum numbers of a row per thread in a tile
constexpr int HELD = 128 / sizeof(REAL);  // maximum numbers of a row per thread in registers
constexpr int STREAMED = 4;               // packs of a stream in flight at a time

// The lowest finite number, and minus infinity.
template <typename T>
struct Limits {
    static constexpr T LOWEST = -3.4028234663852886e38f;
    static __device__ __forceinline__ T minus_infinity() { return -__int_as_float(0x7f800000); }
};

template <>
struct Limits<double> {
    static constexpr double LOWEST = -1.7976931348623157e308;
    static __device__ __forceinline__ double minus_infinity() { return -__longlong_as_double(0x7ff0000000000000ll); }
};

constexpr REAL LOWEST = Limits<REAL>::LOWEST;

struct Row {
    long long number;    // index of the row; 0 for a thread without one
    int columns;
    int lane, group;     // this thread's index among the threads of the row, and their number
    bool present;        // false for a thread without a row
};

// Returns the larger number; NaN counts as the largest, so that a row with a NaN yields NaN.
__device__ __forceinline__ REAL larger(REAL a, REAL b) {
    return b > a || b != b ? b : a;
}

// Maximum over all threads of the row, returned to all of them.
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

// Weight of the row, 1 if there are no weights.
__device__ __forceinline__ REAL weight(const REAL* weights, const Row& row) {
    return weights != nullptr && row.present ? weights[row.number] : REAL(1);
}

// ---- A thread's numbers of a row: the `turn`-th pack, which begins at column k --------------------------------------

template <int WIDTH>
struct InRegisters {
    Pack<REAL, WIDTH> packs[HELD / WIDTH];

    __device__ __forceinline__ Pack<REAL, WIDTH> get(int turn, int) const { return packs[turn]; }
    __device__ __forceinline__ void put(int turn, int, const Pack<REAL, WIDTH>& values) { packs[turn] = values; }
};

// In global or shared memory; what is put there persists only in a tile.
template <int WIDTH, bool STAYS>
struct InMemory {
    REAL* from;

    __device__ __forceinline__ Pack<REAL, WIDTH> get(int, int k) const { return Packs<WIDTH>{}.read(from + k); }
    __device__ __forceinline__ void put(int, int k, const Pack<REAL, WIDTH>& values) {
        if (STAYS) Packs<WIDTH>{}.write(from + k, values);
    }
};

// The one-hot row of a label; a label out of range matches no column.
template <int WIDTH>
struct OneHot {
    int label;

    __device__ __forceinline__ Pack<REAL, WIDTH> get(int, int k) const {
        Pack<REAL, WIDTH> values;
        for (int lane = 0; lane < WIDTH; ++lane) values.lane[lane] = k + lane == label ? REAL(1) : REAL(0);
        return values;
    }
    __device__ __forceinline__ void put(int, int, const Pack<REAL, WIDTH>&) {}
};

// A single number.
struct Number {
    REAL value;

    __device__ __forceinline__ Pack<REAL, 1> get(int, int) const { return {{value}}; }
    __device__ __forceinline__ void put(int, int, const Pack<REAL, 1>& values) { value = values.lane[0]; }
};

// ---- Passes over a row ---------------------------------------------------------------------------------------------

// WIDTH numbers at a time. KEPT: the next pass sees the changes of a pass; otherwise each pass sees the original
// numbers. TURNS: maximum packs per thread, 0 for any number.
template <int WIDTH, bool IS_KEPT, int TURNS>
struct Walk : Row {
    static constexpr int AT_ONCE = WIDTH;
    static constexpr bool KEPT = IS_KEPT;

    __device__ __forceinline__ explicit Walk(const Row& row) : Row(row) {}

    // body(k, a, b) with the numbers of both matrices in each column k of this thread.
    template <typename A, typename B, typename Body>
    __device__ __forceinline__ void each(A& first, B& second, Body body) const {
        turns(first, second, [&](int, int k, auto& a, auto& b) {
            for (int lane = 0; lane < WIDTH; ++lane) body(k + lane, a.lane[lane], b.lane[lane]);
        });
    }

    template <typename A, typename Body>
    __device__ __forceinline__ void each(A& numbers, Body body) const {
        OneHot<WIDTH> none = {-1};
        each(numbers, none, [&](int k, REAL a, REAL) { body(k, a); });
    }

    // Replaces the first number by body(k, a, b); only if numbers are KEPT.
    template <typename A, typename B, typename Body>
    __device__ __forceinline__ void change(A& first, B& second, Body body) const {
        static_assert(KEPT, "of a stream, every pass finds what was there before");
        turns(first, second, [&](int turn, int k, auto& a, auto& b) {
            for (int lane = 0; lane < WIDTH; ++lane) a.lane[lane] = body(k + lane, a.lane[lane], b.lane[lane]);
            first.put(turn, k, a);
        });
    }

    // out[k] = body(k, a, b); out may alias the first or the second matrix.
    template <typename A, typename B, typename Body>
    __device__ __forceinline__ void map(A& first, B& second, REAL* out, Body body) const {
        turns(first, second, [&](int, int k, auto& a, auto& b) {
            for (int lane = 0; lane < WIDTH; ++lane) a.lane[lane] = body(k + lane, a.lane[lane], b.lane[lane]);
            Packs<WIDTH>{}.write(out + k, a);
        });
    }

    // Calls body for each pack. Packs of a stream are read several turns ahead, before the first result is written.
    template <typename A, typename B, typename Body>
    __device__ __forceinline__ void turns(A& first, B& second, Body body) const {
        const int end = present ? columns : 0, stride = group * WIDTH;
        if constexpr (TURNS > 0) {
#pragma unroll
            for (int turn = 0; turn < TURNS; ++turn) {
                int k = turn * stride + lane * WIDTH;
                if (k < end) {
                    auto a = first.get(turn, k);
                    auto b = second.get(turn, k);
                    body(turn, k, a, b);
                }
            }
        } else {
auto read = [&](int k) { return pair(first.get(0, k), second.get(0, k)); };
            some_at_once<STREAMED>(lane * WIDTH, stride, end, read, [&](int k, auto& held) {
                body(0, k, held.first, held.second);
            });
        }
    }
};

// A row of a single number, owned by one thread.
struct Alone : Walk<1, true, 1> {
    __device__ __forceinline__ Alone() : Walk(Row{0, 1, 0, 1, true}) {}
};

// Online softmax (M. Milakov, N. Gimelshein, arXiv:1805.02867): the maximum of a row and the sum of exp(number -
// maximum), in one pass over a stream. The running sum is rescaled whenever a larger number appears. The maximum starts
// at LOWEST, not -inf, whose difference from itself is NaN.
struct Peak {
    REAL largest = LOWEST, total = REAL(0);

    template <int N>
    __device__ __forceinline__ void add(const Pack<REAL, N>& numbers) {
        REAL now = largest;
        for (int lane = 0; lane < N; ++lane) now = larger(now, numbers.lane[lane]);
        total *= exp(largest - now);
        for (int lane = 0; lane < N; ++lane) total += exp(numbers.lane[lane] - now);
        largest = now;
    }
};

// Combines the peaks of the row's threads.
__device__ __forceinline__ Peak row_peak(const Row& row, Peak mine) {
    REAL largest = row_largest(row, mine.largest);
    return {largest, row_sum(row, mine.total * exp(mine.largest - largest))};
}

// ---- Tiles ---------------------------------------------------------------------------------------------------------

// Layout of rows in a tile: padded so that the threads of a warp, each at the same column of its own row, access
// different banks of shared memory.
struct Tile {
    int columns, pitch;
    unsigned int inverse;  // 2^32 / columns, rounded up: exact for as many numbers as a tile has

    __device__ __forceinline__ Tile(int columns, int group) : columns(columns) {
        pitch = ((columns + group - 1) / group | 1) * group;
        inverse = 0xffffffffu / static_cast<unsigned int>(columns) + 1;
    }

    // Index in the tile of number e of the rows.
    __device__ __forceinline__ int place(int e) const {
        return e + static_cast<int>(__umulhi(static_cast<unsigned int>(e), inverse)) * (pitch - columns);
    }

    // Reads the next `count` numbers of a matrix, starting at a row, into the tile.
    __device__ __forceinline__ void read(const REAL* matrix, REAL* tile, int count) const {
        auto use = [=](auto packs, long long e, auto& values) {
            for (int lane = 0; lane < packs.lanes; ++lane) tile[place(static_cast<int>(e) + lane)] = values.lane[lane];
        };
        packed(matrix, count, [=](auto packs, long long e) { return packs.read(matrix + e); }, use);
    }

    __device__ __forceinline__ void write(const REAL* tile, REAL* matrix, int count) const {
        auto read = [=](auto packs, long long e) {
            decltype(packs.read(matrix)) values;
            for (int lane = 0; lane < packs.lanes; ++lane) values.lane[lane] = tile[place(static_cast<int>(e) + lane)];
            return values;
        };
        packed(matrix, count, read, [=](auto packs, long long e, auto& values) { packs.write(matrix + e, values); });
    }

    // All packs of a thread are read before the first is used; rows are divided such that there are at most TURNS.
    template <typename Read, typename Use>
    __device__ __forceinline__ void packed(const REAL* matrix, int count, Read read, Use use) const {
        constexpr int TURNS = TILED / LANES;
        constexpr Packs<LANES> whole = {};
        int left = threadIdx.x;
        if (is_aligned<LANES>(matrix)) {
            const int packs = count / LANES;
            auto place = [](int turn) { return static_cast<long long>(threadIdx.x + turn * ROW_THREADS) * LANES; };
            decltype(read(whole, place(0))) held[TURNS];
#pragma unroll
            for (int turn = 0; turn < TURNS; ++turn) {
                if (static_cast<int>(threadIdx.x) + turn * ROW_THREADS < packs) held[turn] = read(whole, place(turn));
            }
#pragma unroll
            for (int turn = 0; turn < TURNS; ++turn) {
                if (static_cast<int>(threadIdx.x) + turn * ROW_THREADS < packs) use(whole, place(turn), held[turn]);
            }
            left += packs * LANES;
        }
        some_at_once<1>(
            left, ROW_THREADS, count, [=](int e) { return read(Packs<1>{}, e); },
            [=](int e, auto& values) { use(Packs<1>{}, e, values); }
        );
    }
};

// ---- All rows ------------------------------------------------------------------------------------------------------

// The second operand: a matrix of the same shape, labels, or nothing.
struct Nothing {};

template <typename Second>
constexpr bool IS_MATRIX = false;

template <>
constexpr bool IS_MATRIX<const REAL*> = true;

template <int WIDTH>
__device__ __forceinline__ InMemory<WIDTH, false> in_memory(const REAL* matrix, const Row& row) {
    return {const_cast<REAL*>(matrix) + row.number * row.columns};
}

template <int WIDTH>
__device__ __forceinline__ OneHot<WIDTH> in_memory(const long long* labels, const Row& row) {
    long long label = row.present ? labels[row.number] : -1;
    return {0 <= label && label < row.columns ? static_cast<int>(label) : -1};
}

template <int WIDTH>
__device__ __forceinline__ OneHot<WIDTH> in_memory(Nothing, const Row&) {
    return {-1};
}

// Loads a row into registers: all packs are in flight before the first is used.
template <typename Walked, int WIDTH>
__device__ __forceinline__ InRegisters<WIDTH> in_registers(const Walked& row, InMemory<WIDTH, false> from) {
    InRegisters<WIDTH> held = {};
    OneHot<WIDTH> none = {-1};
    row.turns(from, none, [&](int turn, int k, auto& a, auto&) { held.put(turn, k, a); });
    return held;
}

template <typename Walked, int WIDTH>
__device__ __forceinline__ OneHot<WIDTH> in_registers(const Walked&, OneHot<WIDTH> label) {
    return label;
}

// The row of this thread if the block starts at row `start`.
__device__ __forceinline__ Row row_of_thread(long long start, long long rows, int columns, int group) {
    long long number = start + threadIdx.x / group;
    bool present = number < rows;
    return {present ? number : 0, columns, static_cast<int>(threadIdx.x % group), group, present};
}

template <bool IN_REGISTERS, typename Walked, typename Second, typename Work>
__device__ __forceinline__ void untiled_rows(
    const REAL* first, Second second, REAL* out, long long rows, int columns, int group, Work work
) {
    const int at_once = ROW_THREADS / group;
#pragma unroll 1
    for (long long start = static_cast<long long>(blockIdx.x) * at_once; start < rows;
         start += static_cast<long long>(gridDim.x) * at_once) {
        const Walked row(row_of_thread(start, rows, columns, group));
        REAL* to = out + row.number * columns;
        auto numbers = in_memory<Walked::AT_ONCE>(first, row);
        auto others = in_memory<Walked::AT_ONCE>(second, row);
        if constexpr (IN_REGISTERS) {
            auto held = in_registers(row, numbers);
            auto others_held = in_registers(row, others);
            work(row, held, others_held, to);
        } else {
            work(row, numbers, others, to);
        }
    }
}

template <typename Second, typename Work>
__device__ __forceinline__ void tiled_rows(
    const REAL* first, Second second, REAL* out, long long rows, int columns, int group, Work work
) {
    extern __shared__ __align__(16) REAL tiles[];  // one tile per matrix that is read
    const int at_once = ROW_THREADS / group;
    const Tile tile(columns, group);
    REAL *mine = tiles + threadIdx.x / group * tile.pitch, *of_second = tiles + at_once * tile.pitch;
#pragma unroll 1
    for (long long start = static_cast<long long>(blockIdx.x) * at_once; start < rows;
         start += static_cast<long long>(gridDim.x) * at_once) {
        const int count = static_cast<int>(rows - start < at_once ? rows - start : at_once) * columns;
        tile.read(first + start * columns, tiles, count);
        if constexpr (IS_MATRIX<Second>) tile.read(second + start * columns, of_second, count);
        __syncthreads();
        const Walk<1, true, 0> row(row_of_thread(start, rows, columns, group));
        InMemory<1, true> numbers = {mine};
        if constexpr (IS_MATRIX<Second>) {
            InMemory<1, true> others = {mine + at_once * tile.pitch};
            work(row, numbers, others, mine);
        } else {
            auto others = in_memory<1>(second, row);
            work(row, numbers, others, mine);
        }
        __syncthreads();
        if (out != nullptr) {
            tile.write(tiles, out + start * columns, count);
            __syncthreads();
        }
    }
}

// Calls work(row, first, second, out) for every row, also in threads without one: `first` and `second` give its numbers
// of both matrices, or of one and a label; results go to out. `out` may be either matrix, or null if nothing is
// written.
template <typename Second, typename Work>
__device__ __forceinline__ void for_rows(
    const REAL* first, Second second, REAL* out, long long rows, int columns, int group, Work work
) {
    if constexpr (ROWS == IN_TILES) {
        tiled_rows(first, second, out, rows, columns, group, work);
    } else {
        constexpr bool in_registers = ROWS == IN_REGISTERS;
        bool packs = columns % LANES == 0 && is_aligned<LANES>(first) && is_aligned<LANES>(out);
        if constexpr (IS_MATRIX<Second>) packs = packs && is_aligned<LANES>(second);
        if (packs) {
            using Walked = Walk<LANES, in_registers, in_registers ? HELD / LANES : 0>;
            untiled_rows<in_registers, Walked>(first, second, out, rows, columns, group, work);
        } else {
            untiled_rows<false, Walk<1, false, 0>>(first, second, out, rows, columns, group, work);
        }
    }
}
