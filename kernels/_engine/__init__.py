"""Training steps: any number of steps of an epoch in one call, for any network.

Maths:    for each step: gather the batch, stages forward, loss with its gradient, stages backward, update.
Shapes:   a network is a structure per stage (`structures.py`); its arrays are views of one workspace. A step is a list
          of instructions, which name opcodes (`opcodes.py`) and which `interpreter.py` follows.
Units:    as the kernels'.
Traffic:  as the kernels' that it calls; between them, intermediate results stay in the workspace.
Errors:   none; a NaN in the loss goes through, and each worker notes the first step that had one.
Accuracy: that of the kernels.
Source:   -
"""
