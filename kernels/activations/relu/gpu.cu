// ReLU, one element at a time. Contract: the package's docstring.

namespace activation::relu {

__device__ __forceinline__ REAL forward(REAL x) {
    return x < REAL(0) ? REAL(0) : x;  // written this way so that NaN propagates
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) ? REAL(1) : REAL(0);
}

}  // namespace activation::relu
