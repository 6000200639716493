"""What the reference versions share: plain array code."""
