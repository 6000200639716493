// Periodic embedding: waves of each number, then a dense layer per feature. Contract: the package's docstring.
//
// waves (rows, features, 2 k) holds the k sines of a feature, then its cosines. Without a layer, `units` is 0, and dy
// is the gradient of the waves.

#include "_cuda/grid.cu"
#include "_cuda/strips.cu"

constexpr REAL TURN = REAL(6.283185307179586);

extern "C" __global__ void __launch_bounds__(256) periodic_waves(
    const REAL* x, const REAL* frequencies, REAL* waves, long long count, int features, int k
) {
    for (long long e = thread_in_grid(); e < count; e += threads_in_grid()) {  // row, feature, frequency
        const long long number = e / k;
        const int j = static_cast<int>(e - number * k), feature = static_cast<int>(number % features);
        const REAL angle = TURN * frequencies[feature * k + j] * x[number];
        waves[number * 2 * k + j] = sin(angle);
        waves[number * 2 * k + k + j] = cos(angle);
    }
}

// y (rows, features, units) = max(waves W + b, 0), W (features, 2 k, units).
extern "C" __global__ void __launch_bounds__(256) periodic_layer(
    const REAL* waves, const REAL* kernel, const REAL* bias, REAL* y, long long count, int features, int k, int units
) {
    for (long long e = thread_in_grid(); e < count; e += threads_in_grid()) {  // row, feature, unit
        const long long number = e / units;
        const int unit = static_cast<int>(e - number * units), feature = static_cast<int>(number % features);
        const REAL* wave = waves + number * 2 * k;
        const REAL* column = kernel + static_cast<long long>(feature) * 2 * k * units + unit;
        REAL sum = bias[feature * units + unit];
        for (int j = 0; j < 2 * k; ++j) sum += wave[j] * column[static_cast<long long>(j) * units];
        y[e] = sum > 0 ? sum : REAL(0);
    }
}

// Gradient of wave j of one number; dy and y are the units of its feature.
__device__ __forceinline__ REAL slope_of_wave(
    const REAL* dy, const REAL* y, const REAL* kernel, int feature, int j, int k, int units
) {
    if (units == 0) return dy[j];
    const REAL* row = kernel + (static_cast<long long>(feature) * 2 * k + j) * units;
    REAL sum = REAL(0);
    for (int unit = 0; unit < units; ++unit) sum += y[unit] > 0 ? dy[unit] * row[unit] : REAL(0);
    return sum;
}

// Gradient of each angle over 2 pi, (rows, features, k).
extern "C" __global__ void __launch_bounds__(256) periodic_slopes(
    const REAL* dy, const REAL* y, const REAL* waves, const REAL* kernel, REAL* slopes, long long count, int features,
    int k, int units
) {
    const int width = units == 0 ? 2 * k : units;
    for (long long e = thread_in_grid(); e < count; e += threads_in_grid()) {
        const long long number = e / k;
        const int j = static_cast<int>(e - number * k), feature = static_cast<int>(number % features);
        const REAL *wave = waves + number * 2 * k, *own = dy + number * width, *made = y + number * width;
        const REAL of_sine = slope_of_wave(own, made, kernel, feature, j, k, units);
        const REAL of_cosine = slope_of_wave(own, made, kernel, feature, k + j, k, units);
        slopes[e] = TURN * (of_sine * wave[k + j] - of_cosine * wave[j]);
    }
}

// dx (rows, features).
extern "C" __global__ void __launch_bounds__(256) periodic_dx(
    const REAL* slopes, const REAL* frequencies, REAL* dx, long long count, int features, int k
) {
    for (long long e = thread_in_grid(); e < count; e += threads_in_grid()) {
        const int feature = static_cast<int>(e % features);
        REAL sum = REAL(0);
        for (int j = 0; j < k; ++j) sum += slopes[e * k + j] * frequencies[feature * k + j];
        dx[e] = sum;
    }
}

// Sums down rows for the gradient of the frequencies, (features k) columns.
extern "C" __global__ void __launch_bounds__(256) periodic_frequencies(
    const REAL* slopes, const REAL* x, REAL* parts, long long rows, int columns, int chunk, int k
) {
    const int features = columns / k;
    auto begin = [](auto, int) { return 0; };
    auto read = [=](auto packs, long long place, long long row, int column) {
        auto values = packs.read(slopes + place);
        for (int lane = 0; lane < packs.lanes; ++lane) values.lane[lane] *= x[row * features + (column + lane) / k];
        return values;
    };
    auto use = [=](auto packs, long long, auto&, auto& values, auto& sums) {
        for (int lane = 0; lane < packs.lanes; ++lane) sums[0].lane[lane] += values.lane[lane];
    };
    for_strips<1>(is_aligned<LANES>(slopes), rows, columns, chunk, Parts{parts, nullptr}, begin, read, use);
}

// Sums down rows for the layers: of the kernel, (features 2 k units) columns, or, without waves (null), of the bias,
// (features units).
extern "C" __global__ void __launch_bounds__(256) periodic_parameters(
    const REAL* dy, const REAL* y, const REAL* waves, REAL* parts, long long rows, int columns, int chunk,
    int features, int k, int units
) {
    auto begin = [](auto, int) { return 0; };
    auto read = [=](auto packs, long long, long long row, int column) {
        const int unit = column % units, wave = column / units;  // counted over all features
        const long long number = row * features + (waves != nullptr ? wave / (2 * k) : wave);
        const long long place = number * units + unit;
        Pack<REAL, decltype(packs)::lanes> value = {};
        value.lane[0] = y[place] > 0 ? dy[place] : REAL(0);
        if (waves != nullptr) value.lane[0] *= waves[number * 2 * k + wave % (2 * k)];
        return value;
    };
    auto use = [=](auto, long long, auto&, auto& value, auto& sums) { sums[0].lane[0] += value.lane[0]; };
    for_strips<1>(false, rows, columns, chunk, Parts{parts, nullptr}, begin, read, use);
}
