"""The laboratory: benchmarks of activations, kernels and backends. `dnnkit bench` is its command line.

`selection` determines what is compared, `timing` and `statistics` measure and evaluate; `activations`, `learning`,
`kernels`, `steps` and `peer_results` are the benchmarks; `peers` runs other libraries. `results` is the file format
of all benchmarks, `compare` compares two such files, and `glance`, `tables`, `plots` and `report` present
one. docs/benchmarking.md explains the method.
"""
