// Weight penalties. Contract: the package's docstring.

#include "_cuda/packs.cu"
#include "_cuda/sums.cu"

// Sums l1 |w| + l2 w^2 in double, times the factor, which a training step has in `numbers` at `place`: to total if
// there is one block, else to parts for sum_parts.
extern "C" __global__ void __launch_bounds__(256) penalty(
    const REAL* w, const REAL* l1, const REAL* l2, REAL factor, const REAL* numbers, int place, double* parts,
    double* total, bool adds, long long count
) {
    double sum = 0;
    bool aligned = is_aligned<LANES>(w) && is_aligned<LANES>(l1) && is_aligned<LANES>(l2);
    auto read = [=](auto packs, long long i) {
        return pair(packs.read(w + i), pair(packs.read(l1 + i), packs.read(l2 + i)));
    };
    for_packs<2>(aligned, count, read, [&](auto packs, long long, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL weight = held.first.lane[lane];
            const REAL linear = held.second.first.lane[lane] * (weight < 0 ? -weight : weight);
            sum += static_cast<double>(linear + held.second.second.lane[lane] * (weight * weight));
        }
    });
    sum = block_sum(sum) * static_cast<double>(number(factor, numbers, place));
    if (threadIdx.x > 0) return;
    if (gridDim.x > 1) {
        parts[blockIdx.x] = sum;
    } else {
        leave(sum, total, adds);
    }
}

// dw += l1 sign(w) + 2 l2 w
extern "C" __global__ void __launch_bounds__(256) penalty_gradient(
    const REAL* w, const REAL* l1, const REAL* l2, REAL* dw, long long count
) {
    bool aligned = is_aligned<LANES>(w) && is_aligned<LANES>(l1) && is_aligned<LANES>(l2) && is_aligned<LANES>(dw);
    auto read = [=](auto packs, long long i) {
        return pair(pair(packs.read(w + i), packs.read(dw + i)), pair(packs.read(l1 + i), packs.read(l2 + i)));
    };
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        auto& slope = held.first.second;
        for (int lane = 0; lane < packs.lanes; ++lane) {
            const REAL weight = held.first.first.lane[lane];
            const REAL sign = weight > 0 ? REAL(1) : weight < 0 ? REAL(-1) : REAL(0);
            slope.lane[lane] += held.second.first.lane[lane] * sign + 2 * held.second.second.lane[lane] * weight;
        }
        packs.write(dw + i, slope);
    });
}
