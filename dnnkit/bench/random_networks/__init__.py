"""Random networks: drawn from a seed, trained by dnnkit and its peers in turn, evaluated."""
