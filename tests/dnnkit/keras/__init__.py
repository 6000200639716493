"""Programs for Keras: single calls (`calls.py`), and whole programs line by line."""
