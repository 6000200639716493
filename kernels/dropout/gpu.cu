// Dropout: the mask, four elements a thread, and its application. Contract: the package's docstring.

#include "philox/words.cu"
#include "packs.cu"

// Which of the elements start … start + count - 1 are kept, to out (count,).
extern "C" __global__ void dropout_mask(
    unsigned long long start, unsigned long long count, unsigned int threshold, unsigned int seed,
    unsigned int purpose, unsigned int layer, unsigned long long step, bool* out
) {
    bool aligned = start % 4 == 0 && is_aligned<4>(out);
    unsigned long long first = start / 4, last = (start + count + 3) / 4;
    for (unsigned long long block = first + thread_in_grid(); block < last; block += threads_in_grid()) {
        Words words = philox(block, layer, step, seed, purpose);
        Pack<bool, 4> keep;
        for (int lane = 0; lane < 4; ++lane) keep.lane[lane] = words.lane[lane] >= threshold;
        unsigned long long place = 4 * block - start;  // of the block's first element; before the start, it wraps around
        if (aligned && place + 4 <= count) {
            store<4>(out + place, keep);
        } else {
            for (int lane = 0; lane < 4; ++lane) {
                if (place + lane < count) out[place + lane] = keep.lane[lane];
            }
        }
    }
}

// y = x where kept, times factor = 1 / (1 - rate), else 0; y may be x.
extern "C" __global__ void dropout_apply(const REAL* x, const bool* keep, REAL factor, REAL* y, long long count) {
    bool aligned = is_aligned<LANES>(x) && is_aligned<LANES>(keep) && is_aligned<LANES>(y);
    long long packs = aligned ? count / LANES : 0;
    for (long long i = thread_in_grid(); i < packs; i += threads_in_grid()) {
        Pack<REAL, LANES> values = load<LANES>(x + i * LANES);
        Pack<bool, LANES> kept = load<LANES>(keep + i * LANES);
        for (int lane = 0; lane < LANES; ++lane) {
            values.lane[lane] = kept.lane[lane] ? values.lane[lane] * factor : REAL(0);
        }
        store<LANES>(y + i * LANES, values);
    }
    for (long long i = packs * LANES + thread_in_grid(); i < count; i += threads_in_grid()) {
        y[i] = keep[i] ? x[i] * factor : REAL(0);
    }
}
