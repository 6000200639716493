// SiLU, one element at a time. Contract: the package's docstring.

#include "activations/sigmoid/gpu.cu"

namespace activation::silu {

__device__ __forceinline__ REAL forward(REAL x) {
    return x * sigmoid::forward(x);
}

__device__ __forceinline__ REAL derivative(REAL x) {
    return sigmoid::forward(x) * (REAL(1) + x * sigmoid::forward(-x));
}

}  // namespace activation::silu
