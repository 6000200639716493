// Optimizer steps, all parameters in one launch, in place. Contract: the package's docstring. Whatever does not depend
// on the element, bias corrections included, is computed by the launcher in double. Whatever differs from step to step
// is the first of the arguments or, for a step that was recorded before they were known, in `numbers` on the GPU.

#include "_cuda/clock.cu"
#include "_cuda/packs.cu"

template <typename Of>
struct Held {
    Of parameter, gradient, one, two, three;
};

// rule(p, g, slots) for each element; SLOTS is 0 to 3, and unused slots are null.
template <int SLOTS, typename Rule>
__device__ __forceinline__ void for_each(
    Rule rule, REAL* p, const REAL* g, REAL* first, REAL* second, long long count, REAL* third = nullptr
) {
    bool aligned = is_aligned<LANES>(p) && is_aligned<LANES>(g);
    aligned = aligned && is_aligned<LANES>(first) && is_aligned<LANES>(second) && is_aligned<LANES>(third);
    auto read = [=](auto packs, long long i) {
        Held<decltype(packs.read(p))> held = {packs.read(p + i), packs.read(g + i), {}, {}, {}};
        if (SLOTS > 0) held.one = packs.read(first + i);
        if (SLOTS > 1) held.two = packs.read(second + i);
        if (SLOTS > 2) held.three = packs.read(third + i);
        return held;
    };
    for_packs<2>(aligned, count, read, [=](auto packs, long long i, auto& held) {
        for (int lane = 0; lane < packs.lanes; ++lane) {
            REAL& parameter = held.parameter.lane[lane];
            if constexpr (SLOTS > 2) {
                REAL& three = held.three.lane[lane];
                rule(parameter, held.gradient.lane[lane], held.one.lane[lane], held.two.lane[lane], three);
            } else {
                rule(parameter, held.gradient.lane[lane], held.one.lane[lane], held.two.lane[lane]);
            }
        }
        packs.write(p + i, held.parameter);
        if (SLOTS > 0) packs.write(first + i, held.one);
        if (SLOTS > 1) packs.write(second + i, held.two);
        if (SLOTS > 2) packs.write(third + i, held.three);
    });
}

// a x + b y with one fixed rounding. Otherwise the compiler may fuse either product with the sum, and choose
// differently for packs and for single elements, so bits would depend on the arrays' alignment.
__device__ __forceinline__ REAL weighted(REAL a, REAL x, REAL b, REAL y) { return fma(a, x, b * y); }

// Returns the larger number, or NaN if either is NaN.
__device__ __forceinline__ REAL larger(REAL a, REAL b) { return a >= b || a != a ? a : b; }

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
        square = weighted(rho, square, one_minus_rho, g * g);
        p -= learning_rate * g / (sqrt(square) + epsilon);
    }
};

struct Adam {
    REAL step_size, root_correction, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon, decay;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& first_moment, REAL& second_moment) const {
        first_moment = weighted(beta_1, first_moment, one_minus_beta_1, g);
        second_moment = weighted(beta_2, second_moment, one_minus_beta_2, g * g);
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

struct Amsgrad {
    REAL step_size, root_correction, decay, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon;

    __device__ __forceinline__ void operator()(
        REAL& p, REAL g, REAL& first_moment, REAL& second_moment, REAL& largest
    ) const {
        first_moment = weighted(beta_1, first_moment, one_minus_beta_1, g);
        second_moment = weighted(beta_2, second_moment, one_minus_beta_2, g * g);
        largest = larger(second_moment, largest);
        p = p * decay - step_size * first_moment / (sqrt(largest) * root_correction + epsilon);
    }
};

struct Adagrad {
    REAL learning_rate, decay, initial, epsilon;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& square, REAL&) const {
        square += g * g;
        p = p * decay - learning_rate * g / (sqrt(square + initial) + epsilon);
    }
};

struct Adamax {
    REAL step_size, decay, beta_1, one_minus_beta_1, beta_2, epsilon;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& first_moment, REAL& largest) const {
        first_moment = weighted(beta_1, first_moment, one_minus_beta_1, g);
        largest = larger(fabs(g) + epsilon, beta_2 * largest);
        p = p * decay - step_size * first_moment / largest;
    }
};

struct Nadam {
    REAL of_gradient, of_moment, root_correction, decay, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& first_moment, REAL& second_moment) const {
        first_moment = weighted(beta_1, first_moment, one_minus_beta_1, g);
        second_moment = weighted(beta_2, second_moment, one_minus_beta_2, g * g);
        p = p * decay - weighted(of_gradient, g, of_moment, first_moment) / (sqrt(second_moment) * root_correction + epsilon);
    }
};

struct Lion {
    REAL learning_rate, decay, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2;

    __device__ __forceinline__ void operator()(REAL& p, REAL g, REAL& first_moment, REAL&) const {
        REAL mean = weighted(beta_1, first_moment, one_minus_beta_1, g);
        p = p * decay - (mean > 0 ? learning_rate : mean < 0 ? -learning_rate : mean);  // NaN stays NaN
        first_moment = weighted(beta_2, first_moment, one_minus_beta_2, g);
    }
};

struct Average {
    REAL kept, added;

    __device__ __forceinline__ void operator()(REAL& p, REAL, REAL& average, REAL&) const {
        average = weighted(kept, average, added, p);
    }
};

extern "C" __global__ void amsgrad(
    REAL* p, const REAL* g, REAL* first_moment, REAL* second_moment, REAL* largest, REAL step_size,
    REAL root_correction, REAL decay, const REAL* numbers, REAL beta_1, REAL one_minus_beta_1, REAL beta_2,
    REAL one_minus_beta_2, REAL epsilon, long long count
) {
    step_size = number(step_size, numbers, 0);
    root_correction = number(root_correction, numbers, 1);
    decay = number(decay, numbers, 2);
    Amsgrad rule = {step_size, root_correction, decay, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon};
    for_each<3>(rule, p, g, first_moment, second_moment, count, largest);
}

extern "C" __global__ void adagrad(
    REAL* p, const REAL* g, REAL* square, REAL learning_rate, REAL decay, const REAL* numbers,
    REAL initial_accumulator_value, REAL epsilon, long long count
) {
    learning_rate = number(learning_rate, numbers, 0);
    decay = number(decay, numbers, 1);
    for_each<1>(Adagrad{learning_rate, decay, initial_accumulator_value, epsilon}, p, g, square, nullptr, count);
}

extern "C" __global__ void adamax(
    REAL* p, const REAL* g, REAL* first_moment, REAL* largest, REAL step_size, REAL decay, const REAL* numbers,
    REAL beta_1, REAL one_minus_beta_1, REAL beta_2, REAL epsilon, long long count
) {
    step_size = number(step_size, numbers, 0);
    decay = number(decay, numbers, 1);
    for_each<2>(Adamax{step_size, decay, beta_1, one_minus_beta_1, beta_2, epsilon}, p, g, first_moment, largest, count);
}

extern "C" __global__ void nadam(
    REAL* p, const REAL* g, REAL* first_moment, REAL* second_moment, REAL of_gradient, REAL of_moment,
    REAL root_correction, REAL decay, const REAL* numbers, REAL beta_1, REAL one_minus_beta_1, REAL beta_2,
    REAL one_minus_beta_2, REAL epsilon, long long count
) {
    Nadam rule = {
        number(of_gradient, numbers, 0), number(of_moment, numbers, 1), number(root_correction, numbers, 2),
        number(decay, numbers, 3), beta_1, one_minus_beta_1, beta_2, one_minus_beta_2, epsilon
    };
    for_each<2>(rule, p, g, first_moment, second_moment, count);
}

extern "C" __global__ void lion(
    REAL* p, const REAL* g, REAL* first_moment, REAL learning_rate, REAL decay, const REAL* numbers, REAL beta_1,
    REAL one_minus_beta_1, REAL beta_2, REAL one_minus_beta_2, long long count
) {
    learning_rate = number(learning_rate, numbers, 0);
    decay = number(decay, numbers, 1);
    Lion rule = {learning_rate, decay, beta_1, one_minus_beta_1, beta_2, one_minus_beta_2};
    for_each<1>(rule, p, g, first_moment, nullptr, count);
}

// The first step keeps nothing of the zeros with which the average is initialized.
extern "C" __global__ void average(
    REAL* p, const REAL* g, REAL* average, REAL kept, REAL added, const REAL* numbers, long long count
) {
    for_each<1>(Average{number(kept, numbers, 0), number(added, numbers, 1)}, p, g, average, nullptr, count);
}
