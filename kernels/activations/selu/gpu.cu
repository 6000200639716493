// SELU, one element at a time. Contract: the package's docstring.

namespace activation::selu {

constexpr REAL SCALE = REAL(1.0507009873554804934193349852946);
constexpr REAL ALPHA = REAL(1.6732632423543772848170429916717);
constexpr REAL SCALED_ALPHA = REAL(1.0507009873554804934193349852946 * 1.6732632423543772848170429916717);

__device__ __forceinline__ REAL forward(REAL x) {
    return SCALE * (x > REAL(0) ? x : ALPHA * expm1(x));
}

__device__ __forceinline__ REAL derivative_from_output(REAL y) {
    return y > REAL(0) ? SCALE : y + SCALED_ALPHA;
}

}  // namespace activation::selu
