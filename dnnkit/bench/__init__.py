"""The laboratory: what an activation, a kernel, a backend costs. `dnnkit bench` is its command line.

`selection` says what is compared, `timing` and `statistics` measure and judge; `activations`, `learning`, `kernels`,
`steps` and `peer_results` are the benches; `peers` runs other libraries. `results` is the file that all benches write,
`compare` compares two such files, `tables`, `plots` and `report` show one. docs/benchmarking.md explains the method.
"""
