"""Trainings that are killed and go on from their checkpoints, until they are over: is every number what it would be?

Each chain is one `fit(checkpoint=...)` in processes that get SIGKILL at random moments: between steps, within them,
within a save. Where one ends at last, parameters, optimizer state, histories, callbacks and what these wrote are
compared with those of a fit that nobody disturbed.
"""
