// Packs: a few numbers that are read or written with one instruction, 16 bytes where the type allows it.
//
// A kernel that visits each element once is as fast as memory only if it asks for enough bytes at a time. Views of
// arrays may begin anywhere, so a kernel looks whether its pointers are aligned and goes element by element if not.

#include "grid.cu"

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
    T lane[N];
};

constexpr int LANES = 16 / sizeof(REAL);  // numbers of a 16-byte pack

template <typename T, int N>
__device__ __forceinline__ Pack<T, N>& pack_at(T* place) {
    return *reinterpret_cast<Pack<T, N>*>(place);
}

template <typename T, int N>
__device__ __forceinline__ const Pack<T, N>& pack_at(const T* place) {
    return *reinterpret_cast<const Pack<T, N>*>(place);
}

template <int N, typename T>
__device__ __forceinline__ bool is_aligned(const T* place) {
    return reinterpret_cast<unsigned long long>(place) % alignof(Pack<T, N>) == 0;
}
