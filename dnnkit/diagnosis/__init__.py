"""What is wrong with a training, in words and with the cure: warnings, `fit(diagnose=True)`, `net.trace`."""
