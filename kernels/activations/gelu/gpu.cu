// GELU, one element at a time. Contract: the package's docstring.

namespace activation::gelu {

constexpr REAL ROOT_2 = REAL(1.4142135623730950488);
constexpr REAL ROOT_2_PI = REAL(2.5066282746310005024);

__device__ __forceinline__ REAL normal_cdf(REAL x) {
    return REAL(0.5) * erfc(-x / ROOT_2);
}

__device__ __forceinline__ REAL forward(REAL x) {
    return x * normal_cdf(x);
}

__device__ __forceinline__ REAL derivative(REAL x) {
    REAL density = exp(REAL(-0.5) * x * x) / ROOT_2_PI;
    return normal_cdf(x) + x * density;
}

}  // namespace activation::gelu
