"""Programs for Keras: their calls one by one (`calls.py`), and whole ones line by line."""
