// Norm bound: sum the columns' squares, then scale the columns that are out of bounds, in place. Contract: the
// package's docstring.

#include "_cuda/strips.cu"

extern "C" __global__ void __launch_bounds__(256) squares_of_columns(
    const REAL* w, REAL* parts, long long rows, int columns, int chunk
) {
    auto begin = [](auto, int) { return 0; };
    auto read = [=](auto packs, long long place, long long, int) { return packs.read(w + place); };
    auto use = [=](auto packs, long long, auto&, auto& values, auto& sums) {
        for (int lane = 0; lane < packs.lanes; ++lane) sums[0].lane[lane] += values.lane[lane] * values.lane[lane];
    };
    for_strips<1>(is_aligned<LANES>(w), rows, columns, chunk, Parts{parts, nullptr}, begin, read, use);
}

extern "C" __global__ void __launch_bounds__(256) bound_columns(
    REAL* w, const REAL* squares, REAL least, REAL most, REAL rate, long long rows, int columns, int chunk
) {
    auto begin = [=](auto packs, int column) {
        auto factors = of_columns(packs, squares, column);
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL norm = sqrt(factors.lane[lane]);
            const REAL bounded = norm > most ? most : norm < least ? least : norm;
            const bool is_outside = bounded != norm && norm > 0;
            factors.lane[lane] = is_outside ? (norm + rate * (bounded - norm)) / norm : REAL(1);
        }
        return factors;
    };
    auto read = [=](auto packs, long long place, long long, int) { return packs.read(w + place); };
    auto use = [=](auto packs, long long place, auto& factors, auto& values, auto&) {
        for (int lane = 0; lane < packs.lanes; ++lane) values.lane[lane] *= factors.lane[lane];
        packs.write(w + place, values);
    };
    for_strips<0>(is_aligned<LANES>(w), rows, columns, chunk, Parts{}, begin, read, use);
}

// Negative numbers become 0.
extern "C" __global__ void __launch_bounds__(256) not_negative(REAL* w, long long count) {
    auto read = [=](auto packs, long long i) { return packs.read(w + i); };
    for_packs<4>(is_aligned<LANES>(w), count, read, [=](auto packs, long long i, auto& values) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            values.lane[lane] = values.lane[lane] > 0 ? values.lane[lane] : REAL(0);
        }
        packs.write(w + i, values);
    });
}
