"""Training many networks together, and evaluating the results."""
