"""Metric classes of `dnnkit.metrics`, and how they combine the sums of their kernels."""
