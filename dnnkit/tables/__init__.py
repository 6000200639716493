"""Tables: kinds of columns, encoding as numbers for networks, and targets."""
