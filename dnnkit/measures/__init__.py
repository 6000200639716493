"""The metrics that `dnnkit.metrics` has: classes, and what they make of the sums of their kernels."""
