// A kind of stage that maps each number by itself, with at most two parameters of its column. KIND is its name; its
// gpu.cu defines the mapping in the namespace stage::KIND:
//
//   known(p, q)              values derived from a column's parameters, once
//   forward(x, known)        y
//   slope(x, known)          dy / dx
//   parameter_slope(x, known)    dy / dp

#include "_cuda/strips.cu"

struct Known {
    REAL first, second;
};

#include "stages/KIND/gpu.cu"

// Derived values of some columns.
template <int N>
struct Columns {
    Known lane[N];
};

template <int N>
__device__ __forceinline__ Columns<N> known_of(Packs<N> packs, const REAL* p, const REAL* q, int column) {
    Pack<REAL, N> first = of_columns(packs, p, column), second = of_columns(packs, q, column);
    Columns<N> found;
    for (int lane = 0; lane < N; ++lane) found.lane[lane] = stage::KIND::known(first.lane[lane], second.lane[lane]);
    return found;
}

extern "C" __global__ void __launch_bounds__(256) by_column(
    const REAL* x, const REAL* p, const REAL* q, REAL* y, long long rows, int columns, int chunk
) {
    auto begin = [=](auto packs, int column) { return known_of(packs, p, q, column); };
    auto read = [=](auto packs, long long place, long long, int) { return packs.read(x + place); };
    auto use = [=](auto packs, long long place, auto& known, auto& values, auto&) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            values.lane[lane] = stage::KIND::forward(values.lane[lane], known.lane[lane]);
        }
        packs.write(y + place, values);
    };
    for_strips<0>(is_aligned<LANES>(x) && is_aligned<LANES>(y), rows, columns, chunk, Parts{}, begin, read, use);
}

// dx, and the chunks' sums of dp: each if not null.
extern "C" __global__ void __launch_bounds__(256) by_column_backward(
    const REAL* dy, const REAL* x, const REAL* p, const REAL* q, REAL* dx, REAL* dp, long long rows, int columns,
    int chunk
) {
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(x) && is_aligned<LANES>(dx);
    auto begin = [=](auto packs, int column) { return known_of(packs, p, q, column); };
    auto read = [=](auto packs, long long place, long long, int) {
        return pair(packs.read(dy + place), packs.read(x + place));
    };
    auto use = [=](auto packs, long long place, auto& known, auto& numbers, auto& sums) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            REAL &slope = numbers.first.lane[lane], value = numbers.second.lane[lane];
            sums[0].lane[lane] += slope * stage::KIND::parameter_slope(value, known.lane[lane]);
            slope *= stage::KIND::slope(value, known.lane[lane]);
        }
        if (dx != nullptr) packs.write(dx + place, numbers.first);
    };
    for_strips<1>(aligned, rows, columns, chunk, Parts{dp, nullptr}, begin, read, use);
}
