"""Development tools; they are not installed."""
