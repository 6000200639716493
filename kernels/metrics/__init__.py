"""Metrics: what is reported beside the loss, one value per row. A folder here is one, found by its name."""
