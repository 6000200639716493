"""Networks as graphs: symbolic values, layer calls, and lowering to stages."""
