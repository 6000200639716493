// Dropout drawn on the fly, where elements are computed. Contract: the package's docstring.

#include "philox/words.cu"
#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

struct Dropout {
    unsigned int threshold, seed, purpose, layer;
    unsigned long long step;
    REAL factor;  // 1 / (1 - rate)

    // Applies dropout to a pack of N elements that begins with element e, a multiple of N: times factor if kept, else
    // 0.
    template <int N>
    __device__ __forceinline__ void apply(Pack<REAL, N>& values, long long e) const {
        static_assert(N == 1 || N == 2 || N == 4, "a block of Philox is four words");
        Words words = philox(static_cast<unsigned long long>(e) / 4, layer, step, seed, purpose);
        int begin = static_cast<int>(e % 4);
#pragma unroll
        for (int lane = 0; lane < N; ++lane) {
            unsigned int word = words.lane[lane];
#pragma unroll
            for (int k = N; k < 4; k += N) word = begin == k ? words.lane[k + lane] : word;
            values.lane[lane] = word >= threshold ? values.lane[lane] * factor : REAL(0);
        }
    }
};
