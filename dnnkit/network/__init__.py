"""Networks, and their lowering to the programs that backends run."""
