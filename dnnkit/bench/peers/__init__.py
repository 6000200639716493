"""Comparison of dnnkit with other libraries at the same work, and with the machine's own limits.

    python -m dnnkit.bench.peers --rounds 5 --out results.json   # also results.md and results.png
    python -m dnnkit.bench.peers --works 1,2 --peers dnnkit,jax  # some workloads, some peers
    python -m dnnkit.bench.peers --twins dnnkit,jax              # these twice: the noise of this machine
    python -m dnnkit.bench.peers --python torch=…/bin/python     # a peer in its own environment, without dnnkit
    python -m dnnkit.bench.peers growth --out growth.json        # cost by width, depth, batch and samples
    python -m dnnkit.bench.peers report results.json             # table and plot again
    python -m dnnkit.bench.peers check --works 1 --peers jax     # check that these exist; measures nothing

There is one process per peer, workload and round; within a round the peers take turns at each workload, in a
different order each round. The first epoch of a process is not counted, because it compiles. A peer's process,
`python dnnkit/bench/peers run-one`, needs only NumPy and the peer's library: imports within this folder are relative,
and only `dnnkit_peer.py` and `parent.py` import dnnkit. `dnnkit bench random` uses persistent processes, `python
dnnkit/bench/peers stay`; see stay.py. To add a peer, add one file, `<name>_peer.py`, with

    PACKAGES = ("jax", "jaxlib")     a literal: distributions whose versions are recorded, the library itself first
    VARIANTS = ("", "compile")       a literal, so that peers are listed without importing them; "" is the plain name
    about(variant)                   {"setting": how it is set up, "threads": how many it may use}
    network(work, x, y, variant)     a Network (works.py), for training and prediction
    neuron(x, y, weights, iterations, variant)   optional: a function that trains and returns the weights
    product(a, b)                    optional: a function that returns the product of two matrices, with all threads
    copy(source, target)             optional: a function that copies an array, with all threads
    GENERAL = ("",)                  optional, a literal: the variants that train every network works.py can describe
    BYTES = ("uint8",)               optional: the variants that take images as bytes, not as float32 from 0 to 1
"""
