"""docs/errors.md: the messages of every public function and command for invalid input. Each row is run.

    python -m tests.errors     regenerates the table

A row is a line of Python, or of a shell if it begins with `dnnkit`; the table shows its actual message. `PREPARED` runs
before every row. Rows whose message depends on the machine do not belong here.
"""
