// Tanh, one element at a time. Contract: the package's docstring.

namespace activation::tanh {

__device__ __forceinline__ REAL forward(REAL x) {
    return ::tanh(x);
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return REAL(1) - y * y;
}

}  // namespace activation::tanh
