// Leaky ReLU, one element at a time. Contract: the package's docstring.

namespace activation::leaky_relu {

constexpr REAL SMALL_SLOPE = REAL(0.01);

__device__ __forceinline__ REAL forward(REAL x) {
    return x > REAL(0) ? x : SMALL_SLOPE * x;
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) ? REAL(1) : SMALL_SLOPE;
}

}  // namespace activation::leaky_relu
