"""Check that a code change leaves every number that users compute bitwise identical.

    python -m benchmarks.trajectories record BEFORE.json     # trains 40 networks; a hash of each, in each setting
    python -m benchmarks.trajectories compare BEFORE.json    # trains them again; lists every difference

Run the first before the change and the second after it, on the same machine. `compare` exits with status 0 and one
line if all are equal, with 1 if any trajectory differs, fails or is missing, and with 2 if the file was recorded on
another processor or with other versions of numerical libraries, where other bits are expected.

`--only PATTERN` selects the trajectories whose name contains the pattern (`*` and `?` as in file names), such as
`--only 'own layer*float32'`; `--backend numpy` selects those of a backend.

A trajectory is one network (see `networks.py`) in one dtype, on one backend, with one number of threads; on the Numba
backend two threads divide the work by units and by rows. The hash covers the parameters before and after training,
the optimizer state, the history without its seconds, predictions, evaluations, gradients, and continued training:
names, dtypes, shapes and bytes (see `training.py`). Only dnnkit's public names are used, and `executable.snapshot()`.

In addition to the full SHA-256 the file has the first digits of each part's, so that `compare` can report which parts
differ. If `history` differs and `initial` does not, training itself computes differently.
"""
