// Mish, one element at a time. Contract: the package's docstring.

#include "activations/sigmoid/gpu.cu"

namespace activation::mish {

struct Gate {
    REAL t, one_minus_t_squared;
};

// t = tanh(softplus(x)) and 1 - t t, from z = exp(-|x|), without cancellation.
__device__ __forceinline__ Gate gate(REAL x) {
    bool positive = x >= REAL(0);
    REAL z = exp(-fabs(x));
    REAL numerator = positive ? REAL(1) + REAL(2) * z : z * (z + REAL(2));
    REAL denominator = numerator + (positive ? REAL(2) * z * z : REAL(2));
    REAL root = REAL(2) * (REAL(1) + z) * (positive ? z : REAL(1)) / denominator;
    return {numerator / denominator, root * root};
}

__device__ __forceinline__ REAL forward(REAL x) {
    return x * gate(x).t;
}

__device__ __forceinline__ REAL derivative(REAL x) {
    Gate found = gate(x);
    return found.t + x * found.one_minus_t_squared * sigmoid::forward(x);
}

}  // namespace activation::mish
