"""Tables: what their columns are, as numbers for a network, and targets, as they are in a table."""
