"""Losses: what training minimises, with its gradient. A folder here is one, found by its name."""
