"""Training steps: a stretch of an epoch in one call, for any network.

Maths:    for each step: gather the batch, stages forward, loss with its gradient, stages backward, update.
Shapes:   see `cpu.py`; a network is a table with a row a stage, its arrays are slices of one workspace.
Units:    as the kernels'.
Traffic:  as the kernels' that it calls; between them, intermediate results stay in the workspace.
Errors:   none; a NaN in the loss goes through, and the totals tell the first step that had one.
Accuracy: that of the kernels.
Source:   -
"""
