// A loss that takes class labels as well as rows of targets.

#include "_cuda/loss.cu"

extern "C" __global__ void __launch_bounds__(256, 2) loss_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, REAL scale, const REAL* numbers, REAL threshold,
    REAL* out, double* parts, double* totals, long long* clock, bool adds, long long rows, int columns, int group
) {
    loss_of_rows(
        scores, targets, weights, scale, numbers, threshold, out, parts, totals, clock, adds, rows, columns, group
    );
}
