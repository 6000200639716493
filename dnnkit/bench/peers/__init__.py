"""dnnkit compared with other libraries at the same work, and with the machine's own limit.

    python -m dnnkit.bench.peers --rounds 5 --out results.json   # also results.md and results.png
    python -m dnnkit.bench.peers --works 1,2 --peers dnnkit,jax  # some works, some peers
    python -m dnnkit.bench.peers --twins dnnkit,jax              # these twice: the noise of this machine
    python -m dnnkit.bench.peers --python torch=…/bin/python     # a peer in an environment of its own, without dnnkit
    python -m dnnkit.bench.peers growth --out growth.json        # cost by width, depth, batch and samples
    python -m dnnkit.bench.peers report results.json             # table and plot again
    python -m dnnkit.bench.peers check --works 1 --peers jax     # whether these exist; measures nothing

One process per peer, work and round; within a round the peers take turns at each work, in another order each round. The
first epoch of a process is not counted: it compiles. A peer's process, `python dnnkit/bench/peers run-one`, needs only
NumPy and the peer's library: imports within this folder are relative, and only `dnnkit_peer.py` and `parent.py` import
dnnkit. `dnnkit bench random` talks to processes that stay: `python dnnkit/bench/peers stay`, see stay.py. A new peer is
one file, `<name>_peer.py`, with

    PACKAGES = ("jax", "jaxlib")     a literal: distributions whose versions are recorded, the library itself first
    VARIANTS = ("", "compile")       a literal: peers are listed without importing them; "" is the peer's plain name
    about(variant)                   {"setting": how it is set up, "threads": how many it may use}
    network(work, x, y, variant)     a Network (works.py), for training and prediction
    neuron(x, y, weights, iterations, variant)   optional: a function that trains and returns the weights
    product(a, b)                    optional: a function that returns the product of two matrices, with all threads
    copy(source, target)             optional: a function that copies an array, with all threads
    GENERAL = ("",)                  optional, a literal: the variants that train every network that works.py can say
    BYTES = ("uint8",)               optional: the variants that take images as bytes, not as float32 from 0 to 1
"""
