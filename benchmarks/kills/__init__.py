"""Trainings that are killed and resumed from checkpoints: are all results those of an undisturbed training?

Each chain is one `fit(checkpoint=...)` in processes that get SIGKILL at random moments: between steps, within them,
within a save. When a chain finishes, parameters, optimizer state, histories, callbacks and their files are compared
with those of an undisturbed fit.
"""
