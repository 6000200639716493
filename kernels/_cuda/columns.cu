// Sums down the columns of a matrix by blocks of (x, y) threads: x side by side along a row, y rows at a time.
//
// A block takes a strip of WIDTH x columns and a chunk of rows, and writes one number a column. If there are several
// chunks, their sums are added in the order of the chunks by a second launch: the result depends on the sizes alone.

constexpr int STRIP_THREADS = 256;  // x times y

// Adds up what the threads of a column hold in `sums` (WIDTH columns each); the sums are in those with threadIdx.y == 0.
// Every thread of the block must come here.
template <int WIDTH>
__device__ __forceinline__ void sum_down(REAL (&sums)[WIDTH], REAL* shared) {
    int place = threadIdx.y * blockDim.x + threadIdx.x;
    for (int lane = 0; lane < WIDTH; ++lane) shared[lane * STRIP_THREADS + place] = sums[lane];
    for (unsigned int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            for (int lane = 0; lane < WIDTH; ++lane) {
                REAL* mine = shared + lane * STRIP_THREADS + place;
                mine[0] += mine[half * blockDim.x];
            }
        }
    }
    // Each thread reads what it wrote itself last, so it need not wait before, but after: `shared` may be written again.
    for (int lane = 0; lane < WIDTH; ++lane) sums[lane] = shared[lane * STRIP_THREADS + place];
    __syncthreads();
}
