"""Tests of the scripts in `examples/`, in a short form."""
