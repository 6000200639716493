// Step, one element at a time. Contract: the package's docstring.

namespace activation::step {

__device__ __forceinline__ REAL forward(REAL x) {
    return x > REAL(0) ? REAL(1) : REAL(0);
}

__device__ __forceinline__ REAL derivative_from_output(REAL) {
    return REAL(0);
}

}  // namespace activation::step
