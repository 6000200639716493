"""Test that threads that share a network get the results of a single thread: counts of calls and of wrong results.

    python -m benchmarks.threads [--backend NAME]... [--stand-in] [--threads 8] [--calls 200000] [--requests 100000]
                                 [--json FILE]

Four workloads on each backend: only readers; readers while another thread replaces all parameters; readers during a
fit; and a threaded HTTP server that predicts for as many clients. Results are compared bit for bit with those that
one thread computed before; while parameters change, with the results of every state that existed. With `--stand-in`
the CuPy backend runs too, on the CPU. The exit status is 1 if any result was wrong.
"""
