"""Typical wrong answers to the exercises: one module a notebook."""
