"""Which results are equal bit for bit: other loads, other numbers of threads, other partitions.

    python -m benchmarks.same_bits --json FILE.json     # some minutes

Sixty random networks are trained on the Numba backend by fresh processes: for thread limits 1, 2, 3, 4 and 8, and with
partitions by units and by rows among 2, 3, 4 and 8 workers, each once as it is and once beside processes that never
wait. Limits above the number of processors count as if there were so many. A line for each setting says how many
networks ended with the same parameters, optimizer state and losses: under load as without, and as with one thread.

Exit status 0 means that no load changed a bit. Other limits and partitions may: docs/reproducibility.md.
"""
