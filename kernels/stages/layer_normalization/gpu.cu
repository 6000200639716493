// Layer normalization, row by row. Contract: the package's docstring.
//
// The normalized rows are not stored: the backward pass recomputes n = (x - m) inverse.

#include "_cuda/rows.cu"

#define MANY_PASSES  // worth registers: see rows.py

// y = n gamma + beta; gamma and beta may be null. Each row's mean and 1 / sqrt(v + epsilon) go to `moments` (rows, 2).
extern "C" __global__ void __launch_bounds__(256, 2) layer_normalization(
    const REAL* x, const REAL* gamma, const REAL* beta, bool centered, REAL epsilon, REAL* y, REAL* moments,
    long long rows, int columns, int group
) {
    for_rows(x, Nothing{}, y, rows, columns, group, [=](auto& row, auto& numbers, auto& none, REAL* to) {
        REAL mean = REAL(0), square = REAL(0);
        if (centered) {
            row.each(numbers, [&](int, REAL number) { mean += number; });
            mean = row_sum(row, mean) / static_cast<REAL>(columns);
        }
        row.each(numbers, [&](int, REAL number) { square += (number - mean) * (number - mean); });
        const REAL inverse = 1 / sqrt(row_sum(row, square) / static_cast<REAL>(columns) + epsilon);
        row.map(numbers, none, to, [&](int k, REAL number, REAL) {
            REAL normal = (number - mean) * inverse;
            if (gamma != nullptr) normal *= gamma[k];
            return beta != nullptr ? normal + beta[k] : normal;
        });
        if (row.present && row.lane == 0) {
            moments[2 * row.number] = mean;
            moments[2 * row.number + 1] = inverse;
        }
    });
}

// dx, from dy and x.
extern "C" __global__ void __launch_bounds__(256, 2) layer_backward(
    const REAL* dy, const REAL* x, const REAL* moments, const REAL* gamma, bool centered, REAL* dx, long long rows,
    int columns, int group
) {
    for_rows(dy, x, dx, rows, columns, group, [=](auto& row, auto& slopes, auto& numbers, REAL* to) {
        const REAL mean = moments[2 * row.number], inverse = moments[2 * row.number + 1];
        auto weighed = [=](int k, REAL slope) { return gamma != nullptr ? slope * gamma[k] : slope; };
        REAL sum = REAL(0), product = REAL(0);
        row.each(slopes, numbers, [&](int k, REAL slope, REAL number) {
            sum += weighed(k, slope);
            product += weighed(k, slope) * ((number - mean) * inverse);
        });
        sum = centered ? row_sum(row, sum) / static_cast<REAL>(columns) : REAL(0);
        product = row_sum(row, product) / static_cast<REAL>(columns);
        row.map(slopes, numbers, to, [&](int k, REAL slope, REAL number) {
            return (weighed(k, slope) - sum - (number - mean) * inverse * product) * inverse;
        });
    });
}
