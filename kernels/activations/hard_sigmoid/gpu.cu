// Hard sigmoid, one element at a time. Contract: the package's docstring.

namespace activation::hard_sigmoid {

__device__ __forceinline__ REAL forward(REAL x) {
    REAL y = x / REAL(6) + REAL(0.5);
    return y < REAL(0) ? REAL(0) : (y > REAL(1) ? REAL(1) : y);
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) && y < REAL(1) ? REAL(1) / REAL(6) : REAL(0);
}

}  // namespace activation::hard_sigmoid
