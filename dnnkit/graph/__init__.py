"""Networks as graphs: the symbolic values that layers are called on, and what a network is made of."""
