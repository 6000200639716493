// ReLU, one element at a time. Contract: the package's docstring.

namespace activation::relu {

__device__ __forceinline__ REAL forward(REAL x) {
    return x < REAL(0) ? REAL(0) : x;  // the comparison is this way round so that NaN comes through
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) ? REAL(1) : REAL(0);
}

}  // namespace activation::relu
