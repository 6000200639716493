"""Many networks trained together, and what is made of them."""
