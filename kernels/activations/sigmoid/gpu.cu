// Sigmoid, one element at a time. Contract: the package's docstring.

namespace activation::sigmoid {

__device__ __forceinline__ REAL forward(REAL x) {
    REAL z = exp(-fabs(x));
    return (x < REAL(0) ? z : REAL(1)) / (REAL(1) + z);
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y * (REAL(1) - y);
}

}  // namespace activation::sigmoid
