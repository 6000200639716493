// Dropout mask, four elements per thread; a separate source because it does not depend on REAL. Contract: the package's
// docstring.

#include "philox/words.cu"
#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

// Writes which of the elements start ... start + count - 1 are kept to out (count,), for the clock's step if there is
// one.
extern "C" __global__ void dropout_mask(
    unsigned long long start, unsigned long long count, unsigned int threshold, unsigned int seed,
    unsigned int purpose, unsigned int layer, unsigned long long step, const long long* clock, bool* out
) {
    step = step_now(step, clock);
    bool aligned = start % 4 == 0 && is_aligned<4>(out);
    unsigned long long first = start / 4, last = (start + count + 3) / 4;
    for (unsigned long long block = first + thread_in_grid(); block < last; block += threads_in_grid()) {
        Words words = philox(block, layer, step, seed, purpose);
        Pack<bool, 4> keep;
        for (int lane = 0; lane < 4; ++lane) keep.lane[lane] = words.lane[lane] >= threshold;
        unsigned long long place = 4 * block - start;  // of the block's first element; wraps around before the start
        if (aligned && place + 4 <= count) {
            store<4>(out + place, keep);
        } else {
            for (int lane = 0; lane < 4; ++lane) {
                if (place + lane < count) out[place + lane] = keep.lane[lane];
            }
        }
    }
}
