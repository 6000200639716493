// Gaussian noise: a thread draws for four elements, which share a Philox block. Contract: the package's docstring.

#include "philox/words.cu"
#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

// y = x + stddev g, for the clock's step if there is one; `before` elements of the batch are computed elsewhere.
extern "C" __global__ void __launch_bounds__(256) gaussian_noise(
    const REAL* x, double stddev, unsigned int seed, unsigned int purpose, unsigned int layer, unsigned long long step,
    const long long* clock, REAL* y, long long before, long long count
) {
    step = step_now(step, clock);
    const long long blocks = (before + count + 3) / 4;
    for (long long block = before / 4 + thread_in_grid(); block < blocks; block += threads_in_grid()) {
        Words words = philox(static_cast<unsigned long long>(block), layer, step, seed, purpose);
        const long long first = 4 * block - before;
        for (int k = 0; k < 4; k += 2) {
            const double radius = stddev * sqrt(-2 * log((words.lane[k] + 0.5) / 4294967296.0));
            const double angle = words.lane[k + 1] / 2147483648.0;  // in half turns
            const long long place = first + k;
            if (place >= 0 && place < count) y[place] = x[place] + static_cast<REAL>(radius * cospi(angle));
            if (place >= -1 && place + 1 < count) y[place + 1] = x[place + 1] + static_cast<REAL>(radius * sinpi(angle));
        }
    }
}
