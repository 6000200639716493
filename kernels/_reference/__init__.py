"""Shared parts of the reference versions, in plain array code."""
