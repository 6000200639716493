// Softplus, one element at a time. Contract: the package's docstring.

namespace activation::softplus {

__device__ __forceinline__ REAL forward(REAL x) {
    return (x < REAL(0) ? REAL(0) : x) + log1p(exp(-fabs(x)));
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return -expm1(-y);
}

}  // namespace activation::softplus
