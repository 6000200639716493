// Weight updates, all parameters in one launch, in place. Contract: the package's docstring. What does not depend on
// the element, bias corrections included, is computed by the launcher in double. What of that differs from step to step
// is the first of the numbers, or, for a step that was launched before it was known, in `numbers` on the GPU.

#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

template <typename Of>
struct Held {
    Of parameter, gradient, one, two;
};

// rule(p, g, slots) for each element; SLOTS is 0, 1 or 2, and unused slots are null.
template <int SLOTS, typename Rule>
__device__ __forceinline__ void for_each(
    Rule rule, REAL* p, const REAL* g, REAL* first, REAL* second, long long count
) {
    bool aligned = is_aligned<LANES>(p) && is_aligned<LANES>(g);
    aligned = aligned && is_aligned<LANES>(first) && is_aligned<LANES>(second);
    auto read = [=](auto packs, long long i) {
        Held<decltype(packs.read(p))> held = {packs.read(p + i), packs.read(g + i), {}, {}};
        if (SLOTS > 0) held.one = packs.read(first + i);
        if (SLOTS > 1) held.two = packs.read(second + i);
        return held;
    };
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            rule(held.parameter.lane[lane], held.gradient.lane[lane], held.one.lane[lane], held.two.lane[lane]);
        }
        packs.write(p + i, held.parameter);
        if (SLOTS > 0) packs.write(first + i, held.one);
        if (SLOTS > 1) packs.write(second + i, held.two);
    });
}

struct Sgd {
    REAL learning_rate, weight_decay;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL&, REAL&) const {
        p -= learning_rate * (g + weight_decay * p);
    }
};

struct Momentum {
    REAL learning_rate, momentum, weight_decay;
    bool nesterov;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& velocity, REAL&) const {
        REAL gradient = g + weight_decay * p;
        velocity = momentum * velocity + gradient;
        p -= learning_rate * (nesterov ? gradient + momentum * velocity : velocity);
    }
};

struct Rmsprop {
    REAL learning_rate, rho, one_minus_rho, epsilon;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& square, REAL&) const {
        square = rho * square + one_minus_rho * (g * g);
        p -= learning_rate * g / (sqrt(square) + epsilon);
    }
};

struct Adam {
    REAL step_size, root_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon, decay;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& first_moment, REAL& second_moment) const {
        first_moment = beta_1 * first_moment + one_minus_beta_1 * g;
        second_moment = beta_2 * second_moment + one_minus_beta_2 * (g * g);
        p = p * decay - step_size * first_moment / (sqrt(second_moment) * root_correction + epsilon);
    }
};

extern "C" __global__ void sgd(
    REAL* p, const REAL* g, REAL learning_rate, const REAL* numbers, REAL weight_decay, long long count
) {
    for_each<0>(Sgd{number(learning_rate, numbers, 0), weight_decay}, p, g, nullptr, nullptr, count);
}

extern "C" __global__ void momentum(
    REAL* p, const REAL* g, REAL* velocity, REAL learning_rate, const REAL* numbers, REAL momentum,
    REAL weight_decay, long long count
) {
    Momentum rule = {number(learning_rate, numbers, 0), momentum, weight_decay, false};
    for_each<1>(rule, p, g, velocity, nullptr, count);
}

extern "C" __global__ void nesterov(
    REAL* p, const REAL* g, REAL* velocity, REAL learning_rate, const REAL* numbers, REAL momentum,
    REAL weight_decay, long long count
) {
    Momentum rule = {number(learning_rate, numbers, 0), momentum, weight_decay, true};
    for_each<1>(rule, p, g, velocity, nullptr, count);
}

extern "C" __global__ void rmsprop(
    REAL* p, const REAL* g, REAL* square, REAL learning_rate, const REAL* numbers, REAL rho, REAL one_minus_rho,
    REAL epsilon, long long count
) {
    Rmsprop rule = {number(learning_rate, numbers, 0), rho, one_minus_rho, epsilon};
    for_each<1>(rule, p, g, square, nullptr, count);
}

// Adam and AdamW: decay is 1 - learning_rate weight_decay, the factor of decoupled weight decay, and 1 for Adam.
extern "C" __global__ void adam(
    REAL* p, const REAL* g, REAL* first_moment, REAL* second_moment, REAL step_size, REAL root_correction, REAL decay,
    const REAL* numbers, REAL beta_1, REAL one_minus_beta_1, REAL beta_2, REAL one_minus_beta_2, REAL epsilon,
    long long count
) {
    step_size = number(step_size, numbers, 0);
    root_correction = number(root_correction, numbers, 1);
    decay = number(decay, numbers, 2);
    Adam rule = {step_size, root_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon, decay};
    for_each<2>(rule, p, g, first_moment, second_moment, count);
}
