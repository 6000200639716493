// Philox4x32-10, one block of four words a thread. Contract: the package's docstring.

#include "philox/words.cu"
#include "_cuda/grid.cu"

// Words start ... start + count - 1 of a layer's stream at a step, to out (count,).
extern "C" __global__ void random_bits(
    unsigned long long start, unsigned long long count, unsigned int layer, unsigned long long step,
    unsigned int seed, unsigned int purpose, unsigned int* out
) {
    unsigned long long first = start / 4, last = (start + count + 3) / 4;
    for (unsigned long long block = first + thread_in_grid(); block < last; block += threads_in_grid()) {
        Words words = philox(block, layer, step, seed, purpose);
        for (int lane = 0; lane < 4; ++lane) {
            unsigned long long place = 4 * block + lane - start;  // wraps around to a huge number before the start
            if (place < count) out[place] = words.lane[lane];
        }
    }
}
