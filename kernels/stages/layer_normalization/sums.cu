// Gradients of the scale and shift of layer normalization. Contract: the package's docstring.

#include "_cuda/strips.cu"

// The chunks' sums of dy n and of dy; n follows from each row's moments (rows, 2).
extern "C" __global__ void __launch_bounds__(256) layer_backward_sums(
    const REAL* dy, const REAL* x, const REAL* moments, REAL* dgamma, REAL* dbeta, long long rows, int columns,
    int chunk
) {
    auto begin = [](auto, int) { return 0; };
    auto read = [=](auto packs, long long place, long long row, int) {
        return pair(
            pair(packs.read(dy + place), packs.read(x + place)), pair(moments[2 * row], moments[2 * row + 1])
        );
    };
    auto use = [=](auto packs, long long, auto&, auto& numbers, auto& sums) {
        const REAL mean = numbers.second.first, inverse = numbers.second.second;
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL slope = numbers.first.first.lane[lane];
            sums[0].lane[lane] += slope * ((numbers.first.second.lane[lane] - mean) * inverse);
            sums[1].lane[lane] += slope;
        }
    };
    bool aligned = is_aligned<LANES>(dy) && is_aligned<LANES>(x);
    for_strips<2>(aligned, rows, columns, chunk, Parts{dgamma, dbeta}, begin, read, use);
}
