"""The laboratory: what an activation, a kernel, a backend costs. `dnnkit bench` is its command line.

`timing` and `samples` measure and judge; `activations`, `learning`, `kernels`, `steps`, `peers` say what is measured;
`results` is the file that all of them write, `comparing` sets two such files beside each other, `report` makes one a
page to look at. The method is written down in docs/benchmarking.md.
"""
