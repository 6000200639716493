"""Metrics: values reported alongside the loss, one per row. One metric per folder, found by the folder's name."""
