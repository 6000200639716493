// State of a training step that the GPU keeps itself, so that each step is launched with the same arguments: the
// position in the epoch, and the numbers of this step.
//
// gather_batch begins a step: it reads NEXT, and writes STEP and the step's numbers; the sum of the losses ends the
// step.

constexpr int NEXT = 0;   // next step of the epoch
constexpr int STEP = 1;   // optimizer step of the current step, by which dropout draws
constexpr int BASE = 2;   // optimizer step of the epoch's step 0
constexpr int SOUND = 3;  // steps of the epoch whose running loss was not NaN

// A number as given or, if a step's `numbers` exist, the one at that place.
template <typename T>
__device__ __forceinline__ T number(T given, const T* numbers, int place) {
    return numbers != nullptr ? numbers[place] : given;
}

// As `number`, for the step by which dropout draws.
__device__ __forceinline__ unsigned long long step_now(unsigned long long given, const long long* clock) {
    return clock != nullptr ? static_cast<unsigned long long>(clock[STEP]) : given;
}

// Ends a training step once its loss is summed; `loss` is the running sum, which stays NaN once it is.
__device__ __forceinline__ void end_step(long long* clock, const double* loss) {
    clock[NEXT] += 1;
    clock[SOUND] += *loss == *loss;
}
