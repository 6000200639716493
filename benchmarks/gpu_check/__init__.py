"""Is the CuPy backend right on this GPU, and how fast is it?

    python -m benchmarks.gpu_check --out FILE            # correctness, then times; one JSON
    python -m benchmarks.gpu_check --out FILE --quick --megabytes 64 --samples 6000 --epochs 2      # says less
    python -m benchmarks.gpu_check --out FILE --part losses --part updates      # these alone, and in this process

It wants a machine with CUDA, CuPy, NumPy and pytest, and dnnkit's folder as the working directory; nothing needs to be
installed. Each part is a process of its own, and what it found is on disk before the next begins: an illegal address,
after which a process can use its GPU no more, or a hang costs that part alone, and the JSON has its last words.
Correctness comes first: every kernel against the float64 reference, on memory that was spoilt before, and whole
trainings against NumPy's, run twice for equal bits. The exit status is 1 if anything is wrong, crashed or hung. Without
a GPU to use it says why and what to do, and writes nothing (exit status 2).

Times are of the GPU's own clock (events): of several calls one after the other, so that the GPU does not wait for the
next, and the median of several such. A kernel's traffic is what its contract says it reads and writes, each number
once; its share is of the bandwidth of a copy of arrays as large, measured in the same run. A copy reads and writes: its
traffic is twice its size.
"""
