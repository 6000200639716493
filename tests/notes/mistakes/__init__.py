"""Typical wrong answers to the exercises: one module per notebook."""
