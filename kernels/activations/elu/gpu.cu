// ELU, one element at a time. Contract: the package's docstring.

namespace activation::elu {

__device__ __forceinline__ REAL forward(REAL x) {
    return x > REAL(0) ? x : expm1(x);
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) ? REAL(1) : y + REAL(1);
}

}  // namespace activation::elu
