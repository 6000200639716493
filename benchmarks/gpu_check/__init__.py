"""Check the CuPy backend on this GPU for correctness, and measure its speed.

    python -m benchmarks.gpu_check --out FILE            # correctness, then times; one JSON
    python -m benchmarks.gpu_check --out FILE --quick --megabytes 64 --samples 6000 --epochs 2      # less detail
    python -m benchmarks.gpu_check --out FILE --part losses --part updates      # only these, in this process

It needs a machine with CUDA, CuPy, NumPy and pytest, and dnnkit's folder as the working directory; nothing has to be
installed. Each part is a separate process whose results are on disk before the next starts: an illegal address, after
which a process can no longer use its GPU, or a hang affects only that part, and the JSON has its last output.
Correctness comes first: every kernel against the float64 reference, on poisoned memory, and whole trainings against
NumPy's, run twice to check for equal bits. The exit status is 1 if anything is wrong, crashed or hung. Without a
usable GPU it prints why and what to do, and writes nothing (exit status 2).

Times are measured with the GPU's events: over several consecutive calls, so that the GPU does not wait for launches,
and as the median of several such measurements. A kernel's traffic is what its contract reads and writes, each number
once; its share is relative to the bandwidth of a copy of arrays of the same size, measured in the same run. The
traffic of a copy is twice its size, because it reads and writes.
"""
