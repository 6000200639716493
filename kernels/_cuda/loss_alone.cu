// Nothing is measured beside the loss.

constexpr int SUMS = 1;

template <typename Target>
__device__ __forceinline__ double row_metric(const Row&, const REAL*, const Target*, REAL) {
    return 0;
}
