"""Is the CuPy backend right on this GPU, and how fast is it?

    python -m benchmarks.gpu_check --out FILE            # correctness, then times; one JSON
    python -m benchmarks.gpu_check --out FILE --megabytes 64 --samples 6000 --epochs 2      # quicker, says less

It wants a machine with CUDA, CuPy, NumPy and pytest, and dnnkit's folder as the working directory; nothing needs to be
installed. Correctness comes first: every kernel against the float64 reference, and whole trainings against NumPy's, run
twice for equal bits. If anything is wrong, that is written and nothing is timed (exit status 1). Without a GPU to use
it says why and what to do, and writes nothing (exit status 2).

Times are of the GPU's own clock (events): of several calls one after the other, so that the GPU does not wait for the
next, and the median of several such. A kernel's traffic is what its contract says it reads and writes, each number
once; its share is of the bandwidth of a copy of arrays as large, measured in the same run. A copy reads and writes: its
traffic is twice its size.
"""
