// What the GPU knows of a training step by itself, so that each step is launched with the same arguments: where the epoch
// has come to, and the numbers of this step.
//
// gather_batch begins a step: it reads NEXT and leaves STEP and the step's numbers; the sums of the loss end it.

constexpr int NEXT = 0;   // the step of the epoch that is next
constexpr int STEP = 1;   // the optimizer's step that this one is, which dropout draws by
constexpr int BASE = 2;   // the optimizer's step that the epoch's step 0 was
constexpr int SOUND = 3;  // steps of the epoch whose running loss was a number

// A number as it was given or, where a step's numbers are, the one at that place among them.
template <typename T>
__device__ __forceinline__ T number(T given, const T* numbers, int place) {
    return numbers != nullptr ? numbers[place] : given;
}

// The same for the step that dropout draws by.
__device__ __forceinline__ unsigned long long step_now(unsigned long long given, const long long* clock) {
    return clock != nullptr ? static_cast<unsigned long long>(clock[STEP]) : given;
}

// A training step has been measured; `loss` is the running sum. Once a NaN, that stays one.
__device__ __forceinline__ void end_step(long long* clock, const double* loss) {
    clock[NEXT] += 1;
    clock[SOUND] += *loss == *loss;
}
