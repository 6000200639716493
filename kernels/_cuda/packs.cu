// Packs: a few numbers that are read or written with one instruction, 16 bytes if the type allows it (vectorized
// access).
//
// A kernel that visits each element once reaches memory bandwidth only if it requests enough bytes at a time. Views of
// arrays may start anywhere, so a kernel checks the alignment of its pointers and falls back to single elements.

#include "_cuda/grid.cu"

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
    T lane[N];
};

// The N numbers from `place` on, which is aligned for them. The alignment is asserted again, because the compiler loses
// it in a struct's copy and stores the numbers one by one.
template <int N, typename T>
__device__ __forceinline__ Pack<T, N> load(const T* place) {
    return *static_cast<const Pack<T, N>*>(__builtin_assume_aligned(place, alignof(Pack<T, N>)));
}

template <int N, typename T>
__device__ __forceinline__ void store(T* place, const Pack<T, N>& values) {
    *static_cast<Pack<T, N>*>(__builtin_assume_aligned(place, alignof(Pack<T, N>))) = values;
}

template <int N, typename T>
__device__ __forceinline__ bool is_aligned(const T* place) {
    return reinterpret_cast<unsigned long long>(place) % alignof(Pack<T, N>) == 0;
}

#ifdef REAL
constexpr int LANES = 16 / sizeof(REAL);  // numbers per 16-byte pack

// How the body of `for_packs` reads and writes: N elements at a time. A single element is read as a plain number,
// because the compiler does not unroll a loop that contains an alignment assertion.
template <int N>
struct Packs {
    static constexpr int lanes = N;

    template <typename T>
    __device__ __forceinline__ Pack<T, N> read(const T* place) const {
        if constexpr (N > 1) {
            return load<N>(place);
        } else {
            return {{*place}};
        }
    }

    template <typename T>
    __device__ __forceinline__ void write(T* place, const Pack<T, N>& values) const {
        if constexpr (N > 1) {
            store<N>(place, values);
        } else {
            *place = values.lane[0];
        }
    }
};

template <typename First, typename Second>
struct Pair {
    First first;
    Second second;
};

template <typename First, typename Second>
__device__ __forceinline__ Pair<First, Second> pair(const First& first, const Second& second) {
    return {first, second};
}

#ifndef CHUNK
#define CHUNK (1 << 30)  // elements, or rows, that are counted with 32 bits; tests choose fewer
#endif

// use(i, read(i)) for i = first, first + stride, ... below end. UNROLL elements are read before the first is used:
// `use` writes, possibly to what `read` reads, so the compiler may not move the reads forward itself. The loops are not
// unrolled further: with an unknown stride that would begin with a division.
template <int UNROLL, typename Read, typename Use>
__device__ __forceinline__ void some_at_once(int first, int stride, int end, Read read, Use use) {
    int i = first;
    if constexpr (UNROLL > 1) {
#pragma unroll 1
        for (; i + (UNROLL - 1) * stride < end; i += UNROLL * stride) {
            decltype(read(i)) held[UNROLL];
#pragma unroll
            for (int turn = 0; turn < UNROLL; ++turn) held[turn] = read(i + turn * stride);
#pragma unroll
            for (int turn = 0; turn < UNROLL; ++turn) use(i + turn * stride, held[turn]);
        }
    }
#pragma unroll 1
    for (; i < end; i += stride) {
        auto held = read(i);
        use(i, held);
    }
}

// use(packs, i, read(packs, i)) for each pack of LANES elements, starting with element i; then for the remaining
// elements one by one, or for all `count` of them if the arrays are not aligned. The threads of the grid share the
// work.
//
// Indices within a chunk have 32 bits: 64-bit arithmetic takes a GPU two or more instructions.
template <int UNROLL, typename Read, typename Use>
__device__ __forceinline__ void for_packs(bool aligned, long long count, Read read, Use use) {
    constexpr Packs<LANES> whole = {};
    constexpr Packs<1> single = {};
    static_assert(CHUNK % LANES == 0, "a chunk begins with a pack");
    const int thread = static_cast<int>(thread_in_grid()), threads = static_cast<int>(threads_in_grid());
#pragma unroll 1
    for (long long start = 0; start < count; start += CHUNK) {
        const int here = static_cast<int>(count - start < CHUNK ? count - start : CHUNK), packs = here / LANES;
        int left = thread;
        if (aligned) {
            auto place = [=](int pack) { return start + static_cast<long long>(pack) * LANES; };
            some_at_once<UNROLL>(
                thread, threads, packs, [=](int pack) { return read(whole, place(pack)); },
                [&](int pack, auto& held) { use(whole, place(pack), held); }
            );
            left += packs * LANES;
        }
        some_at_once<1>(
            left, threads, here, [=](int i) { return read(single, start + i); },
            [&](int i, auto& held) { use(single, start + i, held); }
        );
    }
}
#endif
