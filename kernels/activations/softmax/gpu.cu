// Softmax, row by row. Contract: the package's docstring.

#include "_cuda/rows.cu"

#define MANY_PASSES  // worth registers: see rows.py

template <typename Walked, typename Numbers, typename None>
__device__ __forceinline__ void softmax(const Walked& row, Numbers& numbers, None& none, const REAL* b, REAL* to) {
    auto biased = [=](int k, REAL number) { return b != nullptr ? number + b[k] : number; };
    Peak peak;
    if constexpr (Walked::KEPT) {
        row.change(numbers, none, [&](int k, REAL number, REAL) {
            number = biased(k, number);
            peak.largest = larger(peak.largest, number);
            return number;
        });
        peak.largest = row_largest(row, peak.largest);
        row.change(numbers, none, [&](int, REAL number, REAL) {
            REAL share = exp(number - peak.largest);
            peak.total += share;
            return share;
        });
        peak.total = row_sum(row, peak.total);
    } else {
        row.turns(numbers, none, [&](int, int k, auto& pack, auto&) {
            for (int lane = 0; lane < Walked::AT_ONCE; ++lane) pack.lane[lane] = biased(k + lane, pack.lane[lane]);
            peak.add(pack);
        });
        peak = row_peak(row, peak);
    }
    row.map(numbers, none, to, [&](int k, REAL number, REAL) {
        if constexpr (!Walked::KEPT) number = exp(biased(k, number) - peak.largest);
        return number / peak.total;
    });
}

// y = softmax(x + b), b (C,) or null; y may be x.
extern "C" __global__ void __launch_bounds__(256, 2) softmax_forward(
    const REAL* x, const REAL* b, REAL* y, long long rows, int columns, int group
) {
    for_rows(x, Nothing{}, y, rows, columns, group, [=](auto& row, auto& numbers, auto& none, REAL* to) {
        softmax(row, numbers, none, b, to);
    });
}

// dx = y (dy - sum of y dy); dx may be dy.
extern "C" __global__ void __launch_bounds__(256, 2) softmax_backward(
    const REAL* dy, const REAL* y, REAL* dx, long long rows, int columns, int group
) {
    for_rows(dy, y, dx, rows, columns, group, [=](auto& row, auto& gradients, auto& shares, REAL* to) {
        REAL dot = REAL(0);
        row.each(gradients, shares, [&](int, REAL gradient, REAL share) { dot += share * gradient; });
        dot = row_sum(row, dot);
        row.map(gradients, shares, to, [&](int, REAL gradient, REAL share) { return share * (gradient - dot); });
    });
}
