// Softsign, one element at a time. Contract: the package's docstring.

namespace activation::softsign {

__device__ __forceinline__ REAL forward(REAL x) {
    return x / (REAL(1) + fabs(x));
}

__device__ __forceinline__ REAL derivative(REAL x) {
    REAL root = REAL(1) / (REAL(1) + fabs(x));
    return root * root;
}

}  // namespace activation::softsign
