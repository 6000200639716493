// Sums down the columns of a matrix by blocks of (x, y) threads: x side by side along a row, y rows at a time.
//
// A block processes a strip of WIDTH x columns and a chunk of rows, and writes one number per column. With several
// chunks, a second launch adds their sums in chunk order, so the result depends on the sizes alone.

constexpr int STRIP_THREADS = 256;  // x times y

// Adds up the `sums` (WIDTH columns each) of a column's threads; the result is in the threads with threadIdx.y == 0.
// All threads of the block must call this.
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
    // Each thread reads only what it wrote last, so no barrier before; one after, because `shared` may be reused.
    for (int lane = 0; lane < WIDTH; ++lane) sums[lane] = shared[lane * STRIP_THREADS + place];
    __syncthreads();
}
