// Packs: a few numbers that are read or written with one instruction, 16 bytes where the type allows it.
//
// A kernel that visits each element once is as fast as memory only if it asks for enough bytes at a time. Views of
// arrays may begin anywhere, so a kernel looks whether its pointers are aligned and goes element by element if not.

#include "_cuda/grid.cu"

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
    T lane[N];
};

#ifdef REAL
constexpr int LANES = 16 / sizeof(REAL);  // numbers of a 16-byte pack
#endif

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
