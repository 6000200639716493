// A loss that takes class labels as well as rows of targets.

#include "_cuda/loss.cu"

extern "C" __global__ void __launch_bounds__(256, 2) loss_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, REAL scale, REAL* out, double* parts,
    long long rows, int columns, int group
) {
    loss_of_rows(scores, targets, weights, scale, out, parts, rows, columns, group);
}
