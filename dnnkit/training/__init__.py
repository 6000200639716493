"""The training loop: epochs, the order of the samples, what is measured and shown."""
