"""Data-parallel training of one network by several processes, its ranks: each computes a part of every batch.

`communicator` is the interface between ranks, `mpi` its implementation by MPI; `reduction` sums in a fixed order;
`shared_batches` and `local_steps` are executables whose steps all ranks run together; `ranks` coordinates them and
handles errors; `data_parallel` has the user's options. See docs/mpi.md and docs/design/0057-ranks.md.
"""
