"""Programs for work on dnnkit; none of them is installed."""
