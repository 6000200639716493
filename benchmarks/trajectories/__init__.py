"""Does a change of the code leave every number that a user computes as it was, bit for bit?

    python -m benchmarks.trajectories record BEFORE.json     # trains 40 networks; a hash of each, in each setting
    python -m benchmarks.trajectories compare BEFORE.json    # trains them again; lists every difference

Run the first before the change and the second after it, on the same machine. `compare` ends with exit status 0 and one
line if all are equal, with 1 if any trajectory differs, fails or is missing, and with 2 if the file was recorded by
another processor or with other versions of what computes, where other bits are to be expected.

`--only PATTERN` takes the trajectories whose name contains the pattern (`*` and `?` as in file names), such as
`--only 'own layer*float32'`; `--backend numpy` those of a backend.

A trajectory is one network (see `networks.py`) in one dtype, on one backend, with one number of threads; on the Numba
backend two threads divide the work by units and by rows. Hashed are the parameters before and after training, the
optimizer's state, the history without its seconds, predictions, evaluations, gradients, and training that goes on:
names, dtypes, shapes and bytes (see `training.py`). Only dnnkit's public names are used, and `executable.snapshot()`.

Beside the whole SHA-256 the file has the first digits of the SHA-256 of each part, so that `compare` can say which
parts differ. If `history` differs and `initial` does not, training itself computes otherwise.
"""
