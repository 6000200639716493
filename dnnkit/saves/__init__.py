"""Saving networks to disk atomically and without pickle; support for pickle and copy."""
