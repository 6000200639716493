// One-hot columns. Contract: the package's docstring.

// Each element of y (rows, width) inspects the columns of x (rows, columns) that it depends on. For "concatenate",
// column_of and class_of (width,) give its column and the class. Otherwise (null) these are all columns, and its own
// index is the class; `most` is the upper bound of the count. Blocks of (x, y) threads: x along a row, y rows at a
// time.
extern "C" __global__ void __launch_bounds__(256) one_hot(
    const REAL* x, const int* column_of, const int* class_of, int most, REAL* y, long long rows, int columns, int width
) {
    const int strip = gridDim.x * blockDim.x;
    const long long down = static_cast<long long>(gridDim.y) * blockDim.y;
    for (int place = blockIdx.x * blockDim.x + threadIdx.x; place < width; place += strip) {
        const int column = column_of != nullptr ? column_of[place] : 0, wanted = column_of != nullptr ? class_of[place] : place;
        const int end = column_of != nullptr ? column + 1 : columns;
        for (long long i = static_cast<long long>(blockIdx.y) * blockDim.y + threadIdx.y; i < rows; i += down) {
            int found = 0;
            for (int k = column; k < end; ++k) found += x[i * columns + k] == static_cast<REAL>(wanted);
            y[i * width + place] = static_cast<REAL>(found < most ? found : most);
        }
    }
}
