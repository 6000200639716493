// Several outputs of a network, whose targets are columns of one matrix and whose losses are summed.

#include "_cuda/clock.cu"

// Copies a column of a matrix (rows, columns) as class labels.
extern "C" __global__ void __launch_bounds__(256) labels_of_column(
    const REAL* targets, int columns, int column, long long* labels, long long rows
) {
    const long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < rows; i += stride) {
        labels[i] = static_cast<long long>(targets[i * columns + column]);
    }
}

// Adds a step's losses (outputs,) to the running sums: each to its own place, their weighted sum to the first. Ends the
// step, as a single loss does.
extern "C" __global__ void join_losses(
    const double* losses, const double* loss_weights, const int* places, int outputs, double* totals, long long* clock
) {
    if (threadIdx.x > 0) return;
    double sum = 0;
    for (int k = 0; k < outputs; ++k) {
        totals[places[k]] += losses[k];
        sum += loss_weights[k] * losses[k];
    }
    totals[0] += sum;
    end_step(clock, totals);
}
