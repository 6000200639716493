"""Whether many threads that use one network each get what one thread would: counts of calls, and of wrong answers.

    python -m benchmarks.threads [--backend NAME]... [--stand-in] [--threads 8] [--calls 200000] [--requests 100000]
                                 [--json FILE]

Four works on each backend: readers alone; readers beside a thread that replaces all parameters; readers beside a fit;
and a threaded HTTP server that predicts for as many clients. What readers are given is compared bit for bit with what
one thread computed before: where parameters change, with that of every state that there was. With `--stand-in` the
CuPy backend runs too, on the CPU. The exit status is 1 if anything was wrong.
"""
