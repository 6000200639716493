"""Training of one network by several processes, its ranks: each computes its part of every batch.

`communicator` is what ranks say to each other by, `mpi` the one that MPI gives; `reduction` adds up in a fixed order;
`shared_batches` and `local_steps` are executables whose steps all ranks make together; `ranks` is who decides, and what
becomes of errors; `data_parallel` what a user asks for. docs/mpi.md, docs/design/0057-ranks.md.
"""
