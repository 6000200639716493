// Batch normalization: sums down the columns, then one pass that uses them. Contract: the package's docstring.
//
// `count` is the number of rows (B n). The normalized rows are not stored: the backward pass recomputes n = (x - m)
// inverse from the same numbers.

#include "_cuda/strips.cu"

// Sums of x or, if those sums are given, of the squared differences from their mean.
extern "C" __global__ void __launch_bounds__(256) batch_sums(
    const REAL* x, const REAL* sums_of_x, REAL count, REAL* parts, long long rows, int columns, int chunk
) {
    auto begin = [=](auto packs, int column) {
        auto mean = of_columns(packs, sums_of_x, column);
        for (int lane = 0; lane < packs.lanes; ++lane) mean.lane[lane] /= count;
        return mean;
    };
    auto read = [=](auto packs, long long place, long long, int) { return packs.read(x + place); };
    auto use = [=](auto packs, long long, auto& mean, auto& values, auto& sums) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL value = values.lane[lane] - mean.lane[lane];
            sums[0].lane[lane] += sums_of_x != nullptr ? value * value : value;
        }
    };
    for_strips<1>(is_aligned<LANES>(x), rows, columns, chunk, Parts{parts, nullptr}, begin, read, use);
}

// Values derived from a column.
template <int N>
struct Normal {
    Pack<REAL, N> mean, inverse, gamma, beta;
};

// y = n gamma + beta; mean and 1 / sqrt(v + epsilon) go to `moments` (2, columns). With the batch's sums, those of the
// batch are used, and the next moving mean and variance go to `next` (2, columns); without sums (null), the moving
// moments.
extern "C" __global__ void __launch_bounds__(256) batch_normalization(
    const REAL* x, const REAL* sums_of_x, const REAL* sums_of_squares, REAL count, const REAL* moving_mean,
    const REAL* moving_variance, const REAL* gamma, const REAL* beta, REAL epsilon, REAL keep, REAL rest, REAL* y,
    REAL* moments, REAL* next, long long rows, int columns, int chunk
) {
    auto begin = [=](auto packs, int column) {
        constexpr int N = decltype(packs)::lanes;
        Normal<N> known = {
            of_columns(packs, moving_mean, column), of_columns(packs, moving_variance, column),
            of_columns(packs, gamma, column, REAL(1)), of_columns(packs, beta, column)
        };
        const bool writes = blockIdx.y == 0 && threadIdx.y == 0;
        for (int lane = 0; lane < N; ++lane) {
            REAL mean = known.mean.lane[lane], variance = known.inverse.lane[lane];
            const int place = column + lane;
            if (sums_of_x != nullptr) {
                const REAL of_batch = sums_of_x[place] / count, spread = sums_of_squares[place] / count;
                if (writes) {
                    next[place] = keep * mean + rest * of_batch;
                    next[columns + place] = keep * variance + rest * spread;
                }
                mean = of_batch;
                variance = spread;
            }
            known.mean.lane[lane] = mean;
            known.inverse.lane[lane] = 1 / sqrt(variance + epsilon);
            if (writes) {
                moments[place] = mean;
                moments[columns + place] = known.inverse.lane[lane];
            }
        }
        return known;
    };
    auto read = [=](auto packs, long long place, long long, int) { return packs.read(x + place); };
    auto use = [=](auto packs, long long place, auto& known, auto& values, auto&) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL normal = (values.lane[lane] - known.mean.lane[lane]) * known.inverse.lane[lane];
            values.lane[lane] = normal * known.gamma.lane[lane] + known.beta.lane[lane];
        }
        packs.write(y + place, values);
    };
    for_strips<0>(is_aligned<LANES>(x) && is_aligned<LANES>(y), rows, columns, chunk, Parts{}, begin, read, use);
}

// The chunks' sums of dy n and of dy.
extern "C" __global__ void __launch_bounds__(256) batch_backward_sums(
    const REAL* dy, const REAL* x, const REAL* moments, REAL* dgamma, REAL* dbeta, long long rows, int columns,
    int chunk
) {
    auto begin = [=](auto packs, int column) {
        return pair(of_columns(packs, moments, column), of_columns(packs, moments + columns, column));
    };
    auto read = [=](auto packs, long long place, long long, int) {
        return pair(packs.read(dy + place), packs.read(x + place));
    };
    auto use = [=](auto packs, long long, auto& known, auto& numbers, auto& sums) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL slope = numbers.first.lane[lane];
            const REAL normal = (numbers.second.lane[lane] - known.first.lane[lane]) * known.second.lane[lane];
            sums[0].lane[lane] += slope * normal;
            sums[1].lane[lane] += slope;
        }
    };
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(x);
    for_strips<2>(aligned, rows, columns, chunk, Parts{dgamma, dbeta}, begin, read, use);
}

// dx: with the sums of dy n and of dy if mean and variance are the batch's, without (null) if they are the moving
// moments.
extern "C" __global__ void __launch_bounds__(256) batch_backward(
    const REAL* dy, const REAL* x, const REAL* moments, const REAL* gamma, const REAL* dgamma, const REAL* dbeta,
    REAL count, REAL* dx, long long rows, int columns, int chunk
) {
    auto begin = [=](auto packs, int column) {
        constexpr int N = decltype(packs)::lanes;
        Normal<N> known = {
            of_columns(packs, moments, column), of_columns(packs, moments + columns, column),
            of_columns(packs, dgamma, column), of_columns(packs, dbeta, column)
        };
        Pack<REAL, N> factor = of_columns(packs, gamma, column, REAL(1));
        for (int lane = 0; lane < N; ++lane) {
            known.gamma.lane[lane] /= count;
            known.beta.lane[lane] /= count;
            factor.lane[lane] *= known.inverse.lane[lane];
        }
        return pair(known, factor);
    };
    auto read = [=](auto packs, long long place, long long, int) {
        return pair(packs.read(dy + place), packs.read(x + place));
    };
    auto use = [=](auto packs, long long place, auto& of_column, auto& numbers, auto&) {
        auto& known = of_column.first;
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL normal = (numbers.second.lane[lane] - known.mean.lane[lane]) * known.inverse.lane[lane];
            const REAL slope = numbers.first.lane[lane] - known.beta.lane[lane] - normal * known.gamma.lane[lane];
            numbers.first.lane[lane] = slope * of_column.second.lane[lane];
        }
        packs.write(dx + place, numbers.first);
    };
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(x) && is_aligned<LANES>(dx);
    for_strips<0>(aligned, rows, columns, chunk, Parts{}, begin, read, use);
}
