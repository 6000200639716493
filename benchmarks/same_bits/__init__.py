"""Which results are bitwise identical under load, with other numbers of threads, and with other partitions.

    python -m benchmarks.same_bits --json FILE.json     # some minutes

Sixty random networks are trained on the Numba backend in fresh processes: with thread limits 1, 2, 3, 4 and 8, and
with partitions by units and by rows among 2, 3, 4 and 8 workers, each once on the idle machine and once next to
processes that never wait. Limits above the number of processors are simulated. A line per setting shows the number of
networks that ended with the same parameters, optimizer state and losses: under load as without, and as with one
thread.

Exit status 0 means that load changed no bit. Other limits and partitions may change bits: docs/reproducibility.md.
"""
