// Mean squared error, row by row. Contract: the package's docstring.

namespace loss::mean_squared_error {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Target>
__device__ __forceinline__ REAL row_loss(
    const Row& row, const REAL* predictions, const Target* targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = REAL(2) * factor / outputs, loss = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        REAL difference = predictions[k] - target(targets, row, k);
        loss += difference * difference;
        out[k] = difference * step;
    }
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::mean_squared_error
