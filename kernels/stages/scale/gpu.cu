// Scale. Contract: the package's docstring.

namespace stage::scale {

__device__ __forceinline__ Known known(REAL factor, REAL) {
    return {factor, REAL(0)};
}

__device__ __forceinline__ REAL forward(REAL x, const Known& known) {
    return x * known.first;
}

__device__ __forceinline__ REAL slope(REAL, const Known& known) {
    return known.first;
}

__device__ __forceinline__ REAL parameter_slope(REAL x, const Known&) {
    return x;
}

}  // namespace stage::scale
