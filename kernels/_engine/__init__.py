"""Training engine: any number of steps of an epoch in one call of compiled code, for any network.

Maths:    per step: gather the batch, stages forward, loss and its gradient, stages backward, update.
Shapes:   a network is one structure per stage (`structures.py`), whose arrays are views of one workspace. A step is a
          list of instructions, each of which names an opcode (`opcodes.py`); `interpreter.py` executes them.
Units:    as of the kernels.
Traffic:  that of the kernels it calls; intermediate results stay in the workspace.
Errors:   none; a NaN in the loss propagates, and each worker records the first step that had one.
Accuracy: that of the kernels.
Source:   -
"""
