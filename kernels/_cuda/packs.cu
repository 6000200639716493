// Packs: a few numbers that are read or written with one instruction, 16 bytes where the type allows it.
//
// A kernel that visits each element once is as fast as memory only if it asks for enough bytes at a time. Views of
// arrays may begin anywhere, so a kernel looks whether its pointers are aligned and goes element by element if not.

#include "_cuda/grid.cu"

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
    T lane[N];
};

// The N numbers from `place` on, which is aligned for them. The compiler is told so again: in a struct's copy it would
// forget, and store its numbers one by one.
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
constexpr int LANES = 16 / sizeof(REAL);  // numbers of a 16-byte pack

// How the body of `for_packs` reads and writes: N elements at a time. A single one is read as a number, for the
// compiler unrolls no loop in which it is told of an alignment.
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

// body(packs, i) for each pack of LANES elements, the first of which is element i; then for what is left of `count`
// elements, one by one, as for all of them if the arrays are not aligned. The threads of the grid share the work.
template <typename Body>
__device__ __forceinline__ void for_packs(bool aligned, long long count, Body body) {
    long long packs = aligned ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) body(Packs<LANES>{}, i * LANES);
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) body(Packs<1>{}, i);
}
#endif
